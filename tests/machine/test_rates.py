"""What the machine can do: measured once, with no random number of the run's, and named by its kind."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from harness.machine import Rate, clock, copy_rate, device_kind, matmul_rate, rates
from harness.machine.kind import cpu_model

DTYPES = (torch.float32, torch.bfloat16)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_product_has_a_rate(dtype: torch.dtype) -> None:
    rate = matmul_rate("cpu", dtype)
    assert rate.unit == "FLOP/s"
    assert len(rate.repeats) == rates.REPEATS
    assert 1e8 < rate.median < 1e14


def test_operations_are_two_for_each_multiplication_and_addition(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that stands: a product of n rows has 2 n cubed, and each copied byte is moved twice."""
    monkeypatch.setattr(rates, "_seconds", lambda burst, device: 0.5)
    monkeypatch.setitem(rates.COPIED, "cpu", 1024)
    for cached in (rates._matmul_rate, rates._copy_rate, rates._burst):
        cached.cache_clear()
    assert matmul_rate("cpu", torch.float32).median == 2 * 128**3 / 0.5
    assert copy_rate("cpu").median == 2 * 1024 / 0.5
    for cached in (rates._matmul_rate, rates._copy_rate, rates._burst):
        cached.cache_clear()


def test_they_are_measured_once() -> None:
    copy_rate("cpu"), matmul_rate("cpu", torch.float32)
    before = time.perf_counter()
    for _ in range(100):
        copy_rate("cpu"), matmul_rate(torch.device("cpu"), torch.float32)
    assert time.perf_counter() - before < 0.02


def test_no_random_number_of_the_run_is_drawn() -> None:
    rates._matmul_rate.cache_clear()
    rates._burst.cache_clear()
    before = torch.get_rng_state()
    matmul_rate("cpu", torch.float32)
    assert torch.equal(before, torch.get_rng_state())


def test_one_outlier_moves_neither_the_median_nor_the_spread() -> None:
    calm = Rate("FLOP/s", (100.0, 101.0, 99.0, 100.0, 102.0))
    disturbed = Rate("FLOP/s", (100.0, 101.0, 99.0, 100.0, 1.0))
    assert calm.median == disturbed.median == 100
    assert disturbed.spread == pytest.approx(calm.spread)
    assert disturbed.to_json()["repeats"] == [100.0, 101.0, 99.0, 100.0, 1.0]


def test_a_kind_names_the_cpu_and_its_threads(tmp_path: Path) -> None:
    kind = device_kind("cpu")
    assert kind.startswith("cpu: ")
    assert torch.backends.cpu.get_cpu_capability() in kind
    listing = tmp_path / "cpuinfo"
    listing.write_text("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nprocessor\t: 1\nmodel name\t: Other\n")
    assert cpu_model(listing) == "Some CPU @ 2 GHz"
    assert cpu_model(tmp_path / "nowhere")


def test_a_kind_names_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100")
    assert device_kind("cuda") == "cuda: NVIDIA H100"
    assert device_kind("meta") == "meta"


def test_the_clock_stands_while_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others run between the reading of one part and of the other: both are read again."""
    waits = iter([1.0, 3.0, 3.0])
    times = iter([10.0, 12.5])
    monkeypatch.setattr(clock, "waited", lambda device: next(waits))
    monkeypatch.setattr(clock, "seconds_now", lambda device: next(times))

    assert clock.own_seconds(torch.device("cpu")) == 12.5 - 3.0


def test_time_that_was_slept_is_its_own() -> None:
    before = clock.own_seconds(torch.device("cpu"))
    time.sleep(0.05)

    assert clock.own_seconds(torch.device("cpu")) - before > 0.04
