"""The comparator: silent on equal runs, and each way in which comparators elsewhere failed to see a difference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness.comparator import Tolerance, Tolerances, Verdict, compare
from harness.comparator.tolerances import BITS
from harness.trace.reader import Trace
from tests.comparator.conftest import KEYS, STEPS, altered, at, logits, values, write_arrays

Make = Callable[[], Trace]
LOOSE = Tolerances("loose", {"loss": Tolerance(relative=1e-3, origin="this test")}, BITS)


def test_equal_runs_are_equal_in_every_field(recorded: Make) -> None:
    found = compare(recorded(), recorded())
    assert found.verdict is Verdict.EQUAL
    assert found.first is None
    assert not found.differences
    compared = {field.field: field.compared for field in found.fields}
    assert compared["loss"] == STEPS
    assert compared["weights"] == STEPS * len(KEYS)
    assert compared["final values"] == len(KEYS)
    assert {"learning rate", "loss scale", "random state", "optimizer state", "outputs", "generated ids"} <= set(
        compared
    )
    assert {"saved tensor", "saved file", "model class", "missing keys", "samples", "trains"} <= set(compared)


def test_one_loss_that_differs_is_the_first_point_of_divergence(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        at(trace, "forward", 1)["loss"] = 6.0625
        at(trace, "forward", 2)["loss"] = 9.0

    found = altered(recorded, alter)
    assert found.verdict is Verdict.DIFFERENT
    assert found.first is not None
    assert (found.first.place.field, found.first.place.step) == ("loss", 1)
    assert found.first.absolute == 0.0625
    assert found.first.relative == pytest.approx(0.0625 / 6.0625)
    assert str(found.first) == (
        "loss at step 1, micro-batch 0: different: 6 and 6.0625, off by 0.0625 (0.0103 of the larger)"
    )


def test_a_parameter_that_differs_is_named_with_its_component(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        at(trace, "optimizer_step", 1)["values"]["model0"]["fingerprint"][1] = "other"

    found = altered(recorded, alter)
    assert [str(difference.place) for difference in found.of("weights")] == ["step 1, micro-batch 0, connector.weight"]
    assert found.first is not None
    assert found.first.component == "connector"


def test_training_comes_before_what_was_saved_whatever_is_compared_first(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        trace.reload[0]["tensors"]["vision.weight"]["fingerprint"] = "other"
        at(trace, "optimizer_step", 2)["lr"] = [2e-3]
        trace.events[1]["fingerprint"][3] = "other"

    found = altered(recorded, alter)
    assert [difference.place.field for difference in found.differences] == [
        "first value",
        "learning rate",
        "saved tensor",
    ]


def test_a_metric_that_is_missing_is_different(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        trace.events.remove(at(trace, "clip", 1))

    for found in (altered(recorded, alter), altered(recorded, alter, tolerances=LOOSE)):
        assert found.verdict is Verdict.DIFFERENT
        assert found.first is not None
        assert (found.first.kind, found.first.place.field) == ("missing", "norm that was clipped")
        assert (found.first.first, found.first.second) == ("0.75", "not seen")


def test_a_loss_without_a_value_is_not_one_of_zero(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        at(trace, "forward", 0)["loss"] = None

    found = altered(recorded, alter, tolerances=LOOSE)
    assert [d.second for d in found.of("loss")] == ["None"]


@pytest.mark.parametrize("missing", ["first", "second"])
def test_a_step_that_only_one_has_is_different(recorded: Make, missing: str) -> None:
    one, other = recorded(), recorded()
    short = one if missing == "first" else other
    short.events = [event for event in short.events if event.get("step") != STEPS - 1]
    found = compare(one, other, LOOSE)
    assert found.verdict is Verdict.DIFFERENT
    steps = next(found.of("steps"))
    assert steps.kind == "missing steps"
    assert steps.place.step == STEPS - 1
    assert {steps.first, steps.second} == {"3 steps: 0, 1, 2", "2 steps: 0, 1"}


def test_renumbered_steps_are_different_though_every_value_is_the_same(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        for event in trace.events:
            if "step" in event:
                event["step"] += 1

    found = altered(recorded, alter, tolerances=LOOSE)
    assert found.verdict is Verdict.DIFFERENT
    assert next(found.of("steps")).kind == "renumbered steps"


@pytest.mark.parametrize(("first", "second"), [("nan", 6.0), (6.0, "nan"), ("nan", "nan")])
def test_not_a_number_on_either_side_or_on_both_is_different(recorded: Make, first: Any, second: Any) -> None:
    one, other = recorded(), recorded()
    at(one, "forward", 1)["loss"], at(other, "forward", 1)["loss"] = first, second
    found = compare(one, other, Tolerances("wide", {"loss": Tolerance(relative=1e9)}, BITS))
    assert found.verdict is Verdict.DIFFERENT
    assert [d.kind for d in found.of("loss")] == ["not finite"]


@pytest.mark.parametrize("column", ["rms", "peak"])
def test_a_norm_of_weights_that_is_not_a_number_on_both_sides_is_different(recorded: Make, column: str) -> None:
    one, other = recorded(), recorded()
    for trace in (one, other):
        at(trace, "optimizer_step", 1)["values"]["model0"][column][1] = "nan"
    assert [(d.kind, d.component) for d in compare(one, other).differences] == [("not finite", "connector")]


def test_weights_that_are_not_numbers_are_different_on_both_sides_too(recorded: Make) -> None:
    one, other = recorded(), recorded()
    for trace in (one, other):
        last = values()
        last["last/1"][0, 0] = np.nan
        write_arrays(trace, last, logits())
    found = compare(one, other)
    assert [(d.kind, d.first) for d in found.of("final values")] == [("not finite", "1 not finite")]


def test_an_overflow_that_both_skipped_is_none_and_one_that_one_skipped_is(recorded: Make) -> None:
    one, other = recorded(), recorded()
    for trace in (one, other):
        at(trace, "optimizer_step", 0)["skipped"] = True
        at(trace, "gradients", 0)["norm"][1] = "nan"
        at(trace, "clip", 0)["total"] = "inf"
    assert compare(one, other).verdict is Verdict.EQUAL
    at(other, "optimizer_step", 0)["skipped"] = False
    found = compare(one, other)
    assert {d.place.field for d in found.differences} == {"skipped", "gradient norm at backward"}


def test_one_wild_point_among_many_good_ones_is_found(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        outputs = np.zeros((1000, 1000), np.float32) + 1
        write_arrays(trace, values(), outputs)

    one, other = recorded(), recorded()
    alter(one)
    alter(other)
    outputs = np.ones((1000, 1000), np.float32)
    outputs[321, 123] = 1.5
    write_arrays(other, values(), outputs)
    found = compare(one, other, Tolerances("loose", {"outputs": Tolerance(relative=1e-2)}, BITS))
    assert [(d.absolute, d.second) for d in found.of("outputs")] == [(0.5, "1.5 at element 321123")]


def test_a_parameter_that_vanished_is_different(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        for event in trace.events:
            columns = [event] if event["kind"] in ("parameters", "final") else []
            columns += [event["values"]["model0"]] if event["kind"] == "optimizer_step" else []
            for column in columns:
                for name, entries in column.items():
                    if isinstance(entries, list) and len(entries) == len(KEYS):
                        column[name] = entries[:-1]

    found = altered(recorded, alter, tolerances=LOOSE)
    assert found.verdict is Verdict.DIFFERENT
    assert found.first is not None
    assert (found.first.kind, found.first.place.subject) == ("missing", "language.twin")


@pytest.mark.parametrize("how", ["swapped", "transposed"])
def test_a_swapped_or_transposed_tensor_is_found_though_its_sums_are_the_same(recorded: Make, how: str) -> None:
    def alter(trace: Trace) -> None:
        last = values()
        if how == "swapped":
            last["last/2"], last["last/3"] = last["last/3"], last["last/2"]
        else:
            last["last/2"] = np.ascontiguousarray(last["last/2"].T)
        write_arrays(trace, last, logits())

    found = altered(recorded, alter, tolerances=LOOSE)
    assert found.verdict is Verdict.DIFFERENT
    assert "language.weight" in {d.place.subject for d in found.of("final values")}


def test_arrays_of_other_shapes_are_different(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        write_arrays(trace, values(), logits()[:1])

    found = altered(recorded, alter, tolerances=LOOSE)
    assert [(d.kind, d.first, d.second) for d in found.of("outputs")] == [
        ("other shape", "shape [2, 4]", "shape [1, 4]")
    ]


def test_only_some_fields_can_be_compared(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        at(trace, "forward", 0)["loss"] = 1.0

    assert altered(recorded, alter, fields=["final values", "outputs"]).verdict is Verdict.EQUAL
    assert altered(recorded, alter, fields=["loss"]).verdict is Verdict.DIFFERENT


def test_a_comparison_can_be_written_down(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        at(trace, "forward", 1)["loss"] = 6.5

    written = altered(recorded, alter).to_json()
    assert written["verdict"] == "different"
    assert written["first"]["field"] == "loss"
    assert written["first"]["step"] == 1
    assert {"field", "compared", "beyond", "tolerance", "largest"} <= set(written["fields"][0])
