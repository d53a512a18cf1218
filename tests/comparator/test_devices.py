"""Runs on two devices: one experiment, with tolerances of their own, and a difference of twice as much is seen."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.comparator import Verdict, across_stacks, compare
from harness.comparator.devices import ORIGIN, TF32
from harness.comparator.experiments import unlike
from harness.comparator.tolerances import COMPUTED_IN_16_BITS, FP32, GRADIENTS
from harness.trace.reader import Trace

Make = Callable[[], Trace]


def on_gpu(trace: Trace, name: str = "NVIDIA H200", **more: object) -> Trace:
    """The same trace as a GPU's."""
    known = {**(trace.header.get("environment") or {}), "device": "cuda", "gpu": {"name": name}, **more}
    trace.header = {**trace.header, "environment": known}
    trace.header["recipe"] = {**(trace.header.get("recipe") or {}), "device": "cuda"}
    return trace


def test_the_device_is_no_part_of_the_experiment(recorded: Make) -> None:
    assert list(unlike(recorded(), on_gpu(recorded()))) == []


def test_dropout_is_drawn_otherwise_on_another_device(recorded: Make) -> None:
    one, other = recorded(), recorded()
    for trace in (one, other):
        trace.header["recipe"] = {**(trace.header.get("recipe") or {}), "lora": {"rank": 4, "dropout": 0.1}}

    assert list(unlike(one, other)) == []
    assert list(unlike(one, on_gpu(other))) == [
        "dropout is drawn otherwise on another device: cpu and cuda (NVIDIA H200)"
    ]


def test_in_fp32_they_are_further_apart_and_it_says_why(recorded: Make) -> None:
    between = across_stacks(recorded(), on_gpu(recorded()))

    assert across_stacks(recorded(), recorded()) is FP32
    assert across_stacks(on_gpu(recorded()), on_gpu(recorded())) is FP32
    assert across_stacks(on_gpu(recorded()), on_gpu(recorded(), "NVIDIA A100")).name == between.name
    assert between.of["loss"].relative == pytest.approx(1e-5)
    assert {one.origin for one in between.of.values()} == {ORIGIN}
    assert all(between.of[name].relative == pytest.approx(5e-4) for name in GRADIENTS)


def test_tf32_counts_where_a_gpu_computes_with_it(recorded: Make) -> None:
    asked = recorded()
    asked.header["environment"] = {**(asked.header.get("environment") or {}), "tf32": True}

    assert across_stacks(asked, asked) is FP32
    found = across_stacks(recorded(), on_gpu(recorded(), tf32=True))
    assert found.name == TF32
    assert found.of == COMPUTED_IN_16_BITS.of


@pytest.mark.parametrize(("times", "verdict"), [(0.9, Verdict.WITHIN_TOLERANCE), (2.0, Verdict.DIFFERENT)])
def test_twice_as_much_is_a_difference(recorded: Make, times: float, verdict: Verdict) -> None:
    one, other = recorded(), on_gpu(recorded())
    tolerances = across_stacks(one, other)
    loss = next(event for event in other.events if event["kind"] == "forward")
    loss["loss"] *= 1 + times * tolerances.of["loss"].relative

    assert compare(one, other, tolerances).verdict is verdict
