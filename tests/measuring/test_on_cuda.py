"""What is done on a GPU, by a torch.cuda that is a stand-in: that the right things are asked for, in the right order.

That a real one answers as the stand-in does is not shown here.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from harness.machine import clock, rates
from harness.measuring.ledger import AllocatorMeter, Ledger, Phase

CUDA = torch.device("cuda")


def noted(log: list[Any], what: Any, value: Any) -> Any:
    log.append(what)
    return value


class Allocator:
    """Says how many bytes there are and were at the most since that was last reset."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def take(self, size: int) -> None:
        self.now += size
        self.most = max(self.most, self.now)

    def reset(self, device: Any) -> None:
        self.most = self.now


@pytest.fixture
def allocator(monkeypatch: pytest.MonkeyPatch) -> Allocator:
    made = Allocator()
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: made.now)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: made.most)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", made.reset)
    return made


def test_phases_are_above_what_there_was_before_the_first(allocator: Allocator) -> None:
    meter = AllocatorMeter(CUDA)
    allocator.take(1000)  # the weights
    meter.mark("forward", 0)
    allocator.take(70)
    allocator.take(-20)
    meter.mark("backward", 0)
    allocator.take(5)
    allocator.take(-55)
    meter.mark("forward", 1)

    assert meter.phases() == [Phase("forward", 0, 0, 70), Phase("backward", 0, 50, 55)]


def test_a_peak_is_of_its_own_phase_alone(allocator: Allocator) -> None:
    meter = AllocatorMeter(CUDA)
    meter.mark("forward", 0)
    allocator.take(900)
    allocator.take(-900)
    meter.mark("backward", 0)
    allocator.take(10)
    meter.mark("optimizer", 0)

    assert [phase.peak for phase in meter.phases()] == [900, 10]


def test_a_model_on_a_gpu_is_watched_by_its_allocator(allocator: Allocator) -> None:
    class OnCuda:
        device = CUDA

    class Model(torch.nn.Linear):
        def parameters(self, recurse: bool = True) -> Any:
            return iter([OnCuda()])

    model = Model(2, 2)
    model.register_forward_hook(lambda *_: allocator.take(8))
    ledger = Ledger(model, 1, 2)
    ledger.start()
    for _ in range(3):
        model(torch.ones(1, 2)).sum()
    ledger.stop()

    assert ledger.to_json()["began"] == [8], "the second step began with what the first had left"
    assert ledger.watched[0] == Phase("forward", 0, 0, 8)


def test_the_clock_is_read_when_the_gpu_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: asked.append(("done", device)))
    monkeypatch.setattr("harness.machine.clock.time.perf_counter", lambda: noted(asked, "read", 3.5))

    assert clock.own_seconds(CUDA) == 3.5
    assert asked == [("done", CUDA), "read"]
    assert clock.waited(CUDA) == 0.0, "what its host waits is not what the work waits"


def test_a_burst_is_timed_from_done_to_done(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    times = iter([1.0, 1.25])
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: asked.append("done"))
    monkeypatch.setattr("harness.machine.clock.time.perf_counter", lambda: next(times))

    assert rates._seconds(lambda: asked.append("burst"), CUDA) == 0.25
    assert asked == ["done", "burst", "done"]


def test_a_product_grows_until_it_is_long_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A launch takes some 10 us: bursts are longer there than on a CPU, of up to 16384 rows."""
    made: list[int] = []
    monkeypatch.setattr(rates, "_product", lambda rows, device, dtype: noted(made, rows, lambda: None))
    monkeypatch.setattr(rates, "_seconds", lambda burst, device: 1e-14 * 2 * made[-1] ** 3)  # 100 TFLOP/s
    rates._burst.cache_clear()
    _, operations = rates._burst(CUDA, torch.bfloat16, False, 1)
    rates._burst.cache_clear()

    assert made == [128 * 2**power for power in range(8)]
    assert operations == 2 * 16384**3
    assert 1e-14 * 2 * 8192**3 < rates.BURST["cuda"] < 1e-14 * operations


def test_tf32_is_another_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(rates, "_matmul_rate", lambda device, dtype, tf32, threads: asked.append(tf32))
    before = torch.backends.cuda.matmul.allow_tf32
    try:
        for allowed in (False, True):
            torch.backends.cuda.matmul.allow_tf32 = allowed
            rates.matmul_rate("cuda", torch.float32)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
    assert asked == [False, True]
