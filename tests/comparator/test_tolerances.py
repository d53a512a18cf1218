"""How far two runs may be apart, field by field: exactly the bound, and twice as much is different."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.comparator import BITWISE, Comparison, Tolerance, Tolerances, Verdict, compare
from harness.comparator.tolerances import (
    BITS,
    COMPUTED_IN_16_BITS,
    EXACT,
    FP32,
    GRADIENTS,
    NUMBERS,
    WEIGHTS_IN_16_BITS,
    _table,
    across_stacks,
    of_another_precision,
)
from harness.trace.reader import Trace
from tests.comparator.conftest import KEYS, STEPS, altered, at, logits, values, write_arrays

Make = Callable[[], Trace]
LOOSE = Tolerances("loose", {"loss": Tolerance(relative=1e-3, origin="this test")}, BITS)


@pytest.mark.parametrize(
    ("tolerance", "allowed"),
    [
        (EXACT, 0.0),
        (Tolerance(absolute=0.5), 0.5),
        (Tolerance(relative=0.5), 1.0),
        (Tolerance(reach=0.5), 2.0),
        (Tolerance(relative=0.25, absolute=0.25, reach=0.25), 1.75),
    ],
)
def test_a_tolerance_allows_its_bound_and_nothing_beyond(tolerance: Tolerance, allowed: float) -> None:
    assert tolerance.allows(allowed, 2.0, 4.0)
    assert not tolerance.allows(allowed + 2.0**-20, 2.0, 4.0)


def test_a_field_that_is_not_named_is_equal_or_not() -> None:
    tolerances = Tolerances("t", {"loss": Tolerance(0.5)}, frozenset({"pixels"}))

    assert tolerances.tolerance("loss") == Tolerance(relative=0.5)
    assert tolerances.tolerance("samples") == EXACT == Tolerance(0.0, 0.0, 0.0, "bits are promised")
    assert tolerances.tolerance("pixels") is None
    assert BITWISE.tolerance("weights") == EXACT


def test_how_an_adapter_is_drawn_is_promised_on_one_stack_alone(recorded: Make) -> None:
    one, drawn, read = recorded(), recorded(), recorded()
    for trace in (one, drawn, read):
        trace.events[1]["role"][1] = "adapter"
    drawn.events[1]["fingerprint"][1] = "one bit further"
    read.events[1]["fingerprint"][0] = "not what was in the file"

    assert compare(one, drawn, BITWISE).verdict is Verdict.DIFFERENT
    assert compare(one, drawn, FP32).verdict is Verdict.WITHIN_TOLERANCE
    assert [str(difference.place) for difference in compare(one, read, FP32).differences] == [KEYS[0]]


def test_the_figures_of_other_kernels() -> None:
    fp32 = {name: FP32.tolerance(name) for name in NUMBERS}
    low = {name: COMPUTED_IN_16_BITS.tolerance(name) for name in NUMBERS}

    assert [fp32[name].relative for name in ("loss", "value of backward", "norm that was clipped", "outputs")] == [
        1e-6, 6e-6, 1e-5, 5e-5]  # fmt: skip
    assert [low[name].relative for name in ("loss", "value of backward", "norm that was clipped", "outputs")] == [
        1.2e-3, 2e-3, 0.03, 0.1]  # fmt: skip
    assert {(fp32[name].relative, low[name].relative) for name in GRADIENTS} == {(5e-5, 0.1)}
    moved = ("weights' mean square", "weights' peak", "final values")
    assert [fp32[name].reach for name in moved] == [0.05, 0.05, 0.3]
    assert [low[name].reach for name in moved] == [0.25, 1.7, 2.1]
    assert all(
        one.origin.startswith(("three times what", "an element whose")) for one in (*fp32.values(), *low.values())
    )
    assert WEIGHTS_IN_16_BITS.left_out == BITS | {"generated ids", *NUMBERS}
    assert COMPUTED_IN_16_BITS.left_out - FP32.left_out == {"generated ids"}


def test_a_table_names_its_fields_and_where_its_figures_come_from() -> None:
    named = {"loss": 1.0, "value of backward": 2.0, "norm that was clipped": 3.0, "outputs": 4.0}
    gradients = dict.fromkeys(GRADIENTS, 5.0)

    assert _table("here", loss=1.0, backward=2.0, clipped=3.0, outputs=4.0, gradients=5.0) == {
        field: Tolerance(share, origin="here") for field, share in {**named, **gradients}.items()
    }


def test_frozen_weights_in_16_bits_are_no_reason_to_compare_no_numbers(recorded: Make) -> None:
    plain, frozen, training = recorded(), recorded(), recorded()
    frozen.events[1]["dtype"][0] = "bfloat16"
    frozen.events[1]["requires_grad"][0] = False
    training.events[1]["dtype"][1] = "float16"

    assert across_stacks(plain, frozen) is FP32
    assert across_stacks(plain, training) is WEIGHTS_IN_16_BITS
    assert across_stacks(training, plain) is WEIGHTS_IN_16_BITS


@pytest.mark.parametrize("low", ["bfloat16", "float16"])
def test_one_forward_of_either_in_16_bits_is_enough(recorded: Make, low: str) -> None:
    one, other = recorded(), recorded()
    for trace in (one, other):
        for event in trace.of("forward")[1:]:
            del event["dtypes"]
    assert across_stacks(one, other) is FP32

    other.of("forward")[0]["dtypes"] = {"LayerNorm": ["float32"], "Linear": ["float32", low]}
    assert across_stacks(one, other) is COMPUTED_IN_16_BITS
    assert across_stacks(other, one) is COMPUTED_IN_16_BITS


def test_gradients_are_measured_against_the_largest_of_their_step(recorded: Make) -> None:
    def off_by(step: int, apart: float) -> Comparison:
        def alter(trace: Trace) -> None:
            at(trace, "gradients", step)["norm"][3] += apart

        tolerances = Tolerances("t", {"gradient norm at backward": Tolerance(relative=0.1)}, BITS)
        one, other = recorded(), recorded()
        for trace in (one, other):
            at(trace, "gradients", 1)["norm"][1:3] = [-8.0, "nan"]
        alter(other)
        return compare(one, other, tolerances, fields=["gradient norm at backward"])

    assert [d.place.subject for d in off_by(1, 0.75).differences] == ["language.weight"]
    assert [d.place.subject for d in off_by(1, 0.85).differences] == ["language.weight", "language.twin"]
    assert {d.place.step for d in off_by(0, 0.09375).differences} == {0, 1}, "a tenth of 0.5 is less"
    assert {d.place.step for d in off_by(0, 0.03125).differences} == {1}


def test_other_numbers_are_measured_each_against_itself(recorded: Make) -> None:
    def off_by(apart: float) -> Verdict:
        one, other = recorded(), recorded()
        for trace, peak in ((one, 2.0), (other, 2.0 + apart)):
            at(trace, "optimizer_step", 1)["values"]["model0"]["peak"][:2] = [1000.0, peak]
        return compare(one, other, Tolerances("t", {"weights' peak": Tolerance(relative=0.1)}, BITS)).verdict

    assert off_by(0.1875) is Verdict.WITHIN_TOLERANCE
    assert off_by(0.25) is Verdict.DIFFERENT


def test_an_optimizer_without_rates_reaches_nowhere(recorded: Make) -> None:
    one, other = recorded(), recorded()
    for trace in (one, other):
        for step in trace.of("optimizer_step"):
            step["lr"] = []
    last = values()
    last["last/0"].flat[0] += 0.125
    write_arrays(other, last, logits())

    found = compare(one, other, Tolerances("t", {"final values": Tolerance(reach=1.0)}, BITS))
    assert [d.place.field for d in found.differences] == ["final values"]


def test_the_reach_is_the_sum_of_the_largest_rates_of_either_run(recorded: Make) -> None:
    tolerances = Tolerances("t", {"final values": Tolerance(reach=1.0), "learning rate": Tolerance(reach=9.0)}, BITS)

    def off_by(apart: float, *, longer: str) -> Verdict:
        one, other = recorded(), recorded()
        for step in (one if longer == "one" else other).of("optimizer_step"):
            step["lr"] = [0.125, 0.0625]
        for trace in (one, other):
            for step in trace.of("optimizer_step"):
                step["lr"] = [*step["lr"], 0.0][:2]
            trace.of("optimizer_step")[0]["skipped"] = True
        last = values()
        last["last/0"].flat[0] += apart
        write_arrays(other, last, logits())
        return compare(one, other, tolerances).verdict

    for longer in ("one", "other"):
        assert off_by(0.25, longer=longer) is Verdict.WITHIN_TOLERANCE
        assert off_by(0.2500001, longer=longer) is Verdict.DIFFERENT


def test_steps_of_a_process_before_reach_as_far_as_the_rate_that_was_asked_for(recorded: Make) -> None:
    tolerances = Tolerances("t", {"final values": Tolerance(reach=1.0)}, BITS)
    asked = {"learning_rate": 0.125, "component_rates": {"vision": 0.25}, "rate_factors": {"weight": 2.0}}

    def off_by(apart: float) -> Verdict:
        one, other = recorded(), recorded()
        for trace in (one, other):
            trace.header["intent"] = {"effective_before": 2, "optimization": asked}
            for step in trace.of("optimizer_step"):
                step["lr"] = []
        last = values()
        last["last/0"].flat[0] += apart
        write_arrays(other, last, logits())
        return compare(one, other, tolerances).verdict

    assert off_by(1.0) is Verdict.WITHIN_TOLERANCE
    assert off_by(1.0000002) is Verdict.DIFFERENT


@pytest.mark.parametrize(("short", "unit"), [("bfloat16", 2.0**-8), ("float16", 2.0**-11)])
def test_another_precision_may_be_apart_by_units_of_it_and_by_more_after_the_first_step(
    recorded: Make, short: str, unit: float
) -> None:
    low = recorded()
    for forward in low.of("forward"):
        forward["dtypes"] = {"Linear": [short]}

    for experts, (first, later) in ((False, (0.25, 4.25)), (True, (8.5, 16.5))):
        loss = of_another_precision(low, experts).of["loss"]
        for step, units in enumerate((first, later)):
            assert loss.allows(units * unit, 1.0, 0.0, step)
            assert not loss.allows(units * unit * 1.001, 1.0, 0.0, step)


def test_fields_left_out_and_fields_compared_are_told_apart(recorded: Make) -> None:
    tolerances = Tolerances("t", {}, frozenset({"samples"}))
    found = compare(recorded(), recorded(), tolerances)
    fields: dict[str, Any] = {field.field: field for field in found.fields}

    assert (fields["samples"].compared, fields["samples"].tolerance, fields["samples"].left_out) == (0, None, True)
    assert (fields["labels"].compared, fields["labels"].tolerance, fields["labels"].left_out) == (STEPS, EXACT, False)
    assert found.verdict is Verdict.WITHIN_TOLERANCE
    assert [verdict.agrees for verdict in Verdict] == [True, True, False, False]


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
    assert [(f.compared, f.beyond) for f in missing.fields if f.field == "saved tensor"] == [(0, 1)]


STACK_FIELDS = [(FP32, name) for name in NUMBERS] + [(COMPUTED_IN_16_BITS, name) for name in NUMBERS]


@pytest.mark.parametrize(("tolerances", "field"), STACK_FIELDS, ids=lambda value: getattr(value, "name", value)[:16])
def test_twice_what_other_kernels_may_do_is_different(recorded: Make, tolerances: Tolerances, field: str) -> None:
    tolerance = tolerances.tolerance(field)
    assert tolerance is not None
    reach, scale = STEPS * 1e-3, SCALES[field]

    def off_by(times: float) -> Comparison:
        allowed = (tolerance.relative + tolerance.later) * scale + tolerance.reach * reach
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
