"""The comparator: silent on equal runs, and each way in which comparators elsewhere failed to see a difference."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness.comparator import Comparison, Tolerance, Tolerances, Verdict, compare
from harness.comparator.tolerances import BITS, COMPUTED_IN_16_BITS, FP32, NUMBERS, WEIGHTS_IN_16_BITS
from harness.trace.reader import Trace
from tests.comparator.conftest import KEYS, STEPS, logits, values, write_arrays

Make = Callable[[], Trace]
LOOSE = Tolerances("loose", {"loss": Tolerance(relative=1e-3, origin="this test")}, BITS)


def altered(make: Make, alter: Callable[[Trace], None], **options: Any) -> Comparison:
    """The comparison of a recording with one that was altered."""
    one, other = make(), make()
    alter(other)
    return compare(one, other, **options)


def at(trace: Trace, kind: str, step: int) -> Any:
    return next(event for event in trace.of(kind) if event["step"] == step)


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


def test_a_tolerance_holds_up_to_its_bound_and_no_further(recorded: Make) -> None:
    def off_by(share: float) -> Comparison:
        def alter(trace: Trace) -> None:
            at(trace, "forward", 0)["loss"] = 7.0 * (1 - share)

        return altered(recorded, alter, tolerances=LOOSE)

    within = off_by(0.9e-3)
    assert within.verdict is Verdict.WITHIN_TOLERANCE
    assert within.first is None
    field = next(field for field in within.fields if field.field == "loss")
    assert field.largest is not None
    assert (field.beyond, field.largest.place.step) == (0, 0)
    assert field.tolerance is not None
    assert field.tolerance.origin == "this test"
    assert off_by(2e-3).verdict is Verdict.DIFFERENT


def test_where_bits_may_differ_digests_are_left_out_by_name_and_nothing_is_called_equal(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        at(trace, "optimizer_step", 0)["values"]["model0"]["fingerprint"][0] = "other"

    found = altered(recorded, alter, tolerances=LOOSE)
    assert found.verdict is Verdict.WITHIN_TOLERANCE
    left_out = {field.field for field in found.fields if field.left_out}
    assert {"weights", "random state", "optimizer state", "saved tensor"} <= left_out
    assert "loss" not in left_out
    missing = altered(recorded, lambda trace: trace.reload[0]["tensors"].pop("vision.weight"), tolerances=LOOSE)
    assert [d.kind for d in missing.of("saved tensor")] == ["missing"]


def test_only_some_fields_can_be_compared(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        at(trace, "forward", 0)["loss"] = 1.0

    assert altered(recorded, alter, fields=["final values", "outputs"]).verdict is Verdict.EQUAL
    assert altered(recorded, alter, fields=["loss"]).verdict is Verdict.DIFFERENT


EXPERIMENTS = {
    "another setting": (
        lambda trace: trace.header["recipe"]["optimizer"].update(learning_rate=2e-3),
        "the recipes differ in optimizer.learning_rate: 0.001 and 0.002",
    ),
    "another size": (
        lambda trace: trace.header["recipe"].update(size="full"),
        "the recipes differ in size: tiny and full",
    ),
    "a setting that one lacks": (
        lambda trace: trace.header["recipe"].update(seed=1),
        "the recipes differ in seed: not set and 1",
    ),
    "a fault": (
        lambda trace: trace.header.update(faults=["no_unscale"]),
        "faults were injected into one of them: none and no_unscale",
    ),
    "other data": (
        lambda trace: trace.events[0].update(digest="others"),
        "they were given different data: data and others",
    ),
    "a larger model": (
        lambda trace: trace.events[1].update(shape=[[4, 4]] * len(KEYS)),
        "their models are of other sizes: connector.weight has shape [2, 2] and [4, 4]",
    ),
    "another model": (
        lambda trace: trace.events[1].update(path=[f"other.{key}" for key in KEYS]),
        "their models share no parameter",
    ),
    "nothing trained": (
        lambda trace: trace.events.__setitem__(slice(2, None), []),
        "no optimizer step was seen in",
    ),
}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_two_experiments_are_not_comparable_and_never_equal(recorded: Make, name: str) -> None:
    alter, reason = EXPERIMENTS[name]
    found = altered(recorded, alter)  # type: ignore[arg-type]
    assert found.verdict is Verdict.NOT_COMPARABLE
    assert not found.verdict.agrees
    assert [one for one in found.reasons if one.startswith(reason)], found.reasons
    assert not found.fields


def test_settings_that_are_meant_to_differ_are_named(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        trace.header["recipe"]["optimizer"]["learning_rate"] = 2e-3
        trace.header["recipe"]["size"] = "full"

    assert altered(recorded, alter, may_differ=["optimizer", "size"]).verdict is Verdict.EQUAL
    assert altered(recorded, alter, may_differ=["optimizer"]).verdict is Verdict.NOT_COMPARABLE
    assert altered(recorded, alter, may_differ=["optimizer.learning", "size"]).verdict is Verdict.NOT_COMPARABLE


def test_one_tensor_of_another_shape_is_a_difference_not_another_size(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        trace.events[1]["shape"] = [[2, 2], [2, 2], [2, 2], [4, 1]]

    found = altered(recorded, alter)
    assert found.verdict is Verdict.DIFFERENT
    assert [(d.place.subject, d.second) for d in found.of("shape")] == [("language.twin", "[4, 1]")]


def test_what_differs_around_two_runs_is_listed(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        trace.header["environment"] = {"threads": 2, "versions": {"torch": "2.13.0", "peft": "0.21.2"}}

    found = altered(recorded, alter)
    assert found.verdict is Verdict.WITHIN_TOLERANCE
    assert found.tolerances == FP32.name
    assert found.environment == ("threads: 1 and 2", "versions.peft: None and 0.21.2")


def test_a_comparison_can_be_written_down(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        at(trace, "forward", 1)["loss"] = 6.5

    written = altered(recorded, alter).to_json()
    assert written["verdict"] == "different"
    assert written["first"]["field"] == "loss"
    assert written["first"]["step"] == 1
    assert {"field", "compared", "beyond", "tolerance", "largest"} <= set(written["fields"][0])


STACK_FIELDS = [(FP32, name) for name in NUMBERS] + [(COMPUTED_IN_16_BITS, name) for name in NUMBERS]


@pytest.mark.parametrize(("tolerances", "field"), STACK_FIELDS, ids=lambda value: getattr(value, "name", value)[:16])
def test_twice_what_other_kernels_may_do_is_different(recorded: Make, tolerances: Tolerances, field: str) -> None:
    tolerance = tolerances.tolerance(field)
    assert tolerance is not None
    reach, scale = STEPS * 1e-3, SCALES[field]

    def off_by(times: float) -> Comparison:
        allowed = tolerance.relative * scale + tolerance.reach * reach
        return altered(recorded, lambda trace: _moved(trace, field, times * allowed), tolerances=tolerances)

    assert off_by(0.95).verdict is Verdict.WITHIN_TOLERANCE
    assert {difference.place.field for difference in off_by(2.1).differences} == {field}


# The largest value of each field where the test moves it.
SCALES = {
    "loss": 6.0,
    "value of backward": 6.0,
    "norm that was clipped": 0.75,
    "gradient norm at backward": 0.5,
    "gradient norm at unscale": 0.5,
    "gradient norm at optimizer": 0.5,
    "weights' mean square": 1.0,
    "weights' peak": 1.0,
    "final values": 1.0,
    "outputs": 1.0,
}


def _moved(trace: Trace, field: str, by: float) -> None:
    """Bring one value of a field nearer to zero (a relative bound counts from the larger of the two)."""
    columns = {"weights' mean square": "rms", "weights' peak": "peak"}
    if field in ("loss", "value of backward", "norm that was clipped"):
        kind, name = {"loss": ("forward", "loss"), "value of backward": ("backward", "value")}.get(
            field, ("clip", "total")
        )
        at(trace, kind, 1)[name] -= by
    elif field.startswith("gradient norm at "):
        event = next(e for e in trace.of("gradients") if field.endswith(e["moment"]) and e["step"] == 1)
        event["norm"][3] -= by
    elif field in columns:
        at(trace, "optimizer_step", 1)["values"]["model0"][columns[field]][1] -= by
    else:
        last, outputs = values(), logits()
        target = outputs if field == "outputs" else last["last/0"]
        target.flat[0] += by
        write_arrays(trace, last, outputs)


def test_of_weights_in_16_bits_no_number_is_compared_and_every_step_must_be_there(recorded: Make) -> None:
    one, other = recorded(), recorded()
    for trace in (one, other):
        trace.header["environment"] = {"threads": len(str(trace.directory))}
        trace.events[1]["dtype"] = ["bfloat16"] * len(KEYS)
    other.header["environment"]["threads"] += 1
    at(other, "forward", 0)["loss"] = 1.0
    found = compare(one, other)
    assert found.tolerances == WEIGHTS_IN_16_BITS.name
    assert found.verdict is Verdict.WITHIN_TOLERANCE
    other.events.remove(at(other, "forward", 1))
    assert compare(one, other).verdict is Verdict.DIFFERENT


def test_what_computes_in_16_bits_is_seen_in_its_forwards(recorded: Make) -> None:
    one, other = recorded(), recorded()
    other.header["environment"] = {"threads": 2}
    at(other, "forward", 1)["dtypes"] = {"Linear": ["bfloat16"]}
    assert compare(one, other).tolerances == COMPUTED_IN_16_BITS.name
