"""The comparator at its edges: what overflows, what lacks a step, what comes first, and no more than can be shown."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.comparator import Comparison, Difference, FieldComparison, Tolerance, Verdict, compare
from harness.comparator.observed import Place
from harness.trace.reader import Trace
from tests.comparator.conftest import KEYS, STEPS, altered, at, logits, values, write_arrays

Make = Callable[[], Trace]
PLACE = Place("training", "loss", 1, 0)


def test_steps_are_compared_as_a_whole_only_where_all_or_they_are_asked_for(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        trace.events = [event for event in trace.events if event.get("step") != STEPS - 1]

    assert altered(recorded, alter, fields=["outputs"]).verdict is Verdict.EQUAL
    assert [d.place.field for d in altered(recorded, alter, fields=["steps"]).differences] == ["steps"]


def test_many_steps_are_told_by_their_first(recorded: Make) -> None:
    def steps(number: int) -> Trace:
        trace = recorded()
        last = trace.of("optimizer_step")[-1]
        trace.events += [{**last, "step": step} for step in range(STEPS, number)]
        return trace

    (found,) = compare(steps(8), steps(9), fields=["steps"]).differences
    assert (found.first, found.second) == ("8 steps: 0, 1, 2, 3, 4, 5, 6, 7", "9 steps: 0, 1, 2, 3, 4, 5, 6, 7 …")
    assert (found.kind, found.component, found.place) == ("missing steps", None, Place("training", "steps", 8))


def test_the_same_steps_in_another_order_are_renumbered(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        for event in trace.of("optimizer_step"):
            event["step"] = STEPS - 1 - event["step"]

    (found,) = altered(recorded, alter, fields=["steps"]).differences
    assert (found.kind, found.place.step, found.second) == ("renumbered steps", 0, "3 steps: 2, 1, 0")


def test_what_is_seen_once_in_a_step_is_compared_by_step(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        for event in trace.events:
            if "micro" in event:
                event["micro"] = 1

    found = altered(recorded, alter)
    assert {d.kind for d in found.differences} == {"missing"}
    assert [d.place.micro for d in found.of("loss")] == [0, 1] * STEPS
    assert altered(recorded, alter, by_step=True).verdict is Verdict.EQUAL


def test_what_only_the_second_has_is_missing_in_the_first(recorded: Make) -> None:
    found = altered(recorded, lambda trace: trace.reload[0]["tensors"].update(more={"fingerprint": "f"}))

    assert [str(d) for d in found.differences] == ["saved tensor at more: missing: not seen and f"]
    assert [(f.compared, f.beyond) for f in found.fields if f.field == "saved tensor"] == [(len(KEYS) + 1, 1)]


def test_long_values_are_cut_short(recorded: Make) -> None:
    def says(length: int) -> str:
        found = altered(recorded, lambda trace: trace.reload[1].update(model_class="m" * length))
        return next(found.of("model class")).second

    assert says(80) == "m" * 80
    assert says(81) == "m" * 77 + "…"


def test_lists_and_arrays_are_shown_as_such(recorded: Make) -> None:
    one, other = recorded(), recorded()
    at(other, "forward", 0)["samples"] = ["a", "b"]
    other.of("final")[0].pop("arrays")
    found = compare(one, other)

    assert str(next(found.of("samples"))) == "samples at step 0, micro-batch 0: different: ['s0'] and ['a', 'b']"
    assert {(d.first, d.second) for d in found.of("final values")} == {("values of shape [2, 2]", "not seen")}


def test_the_largest_difference_of_a_field_is_told_and_what_has_no_size_is_largest(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        for step, loss in enumerate((7.5, 7.0, 5.25)):
            at(trace, "forward", step)["loss"] = loss

    one, other = recorded(), recorded()
    alter(other)
    (field,) = compare(one, other, fields=["loss"]).fields
    assert field.largest is not None
    assert (field.largest.place.step, field.largest.absolute, field.largest.relative) == (1, 1.0, 1.0 / 7.0)
    assert (field.compared, field.beyond) == (STEPS, STEPS)

    at(other, "forward", 2)["loss"] = "nan"
    (field,) = compare(one, other, fields=["loss"]).fields
    assert field.largest is not None
    assert (field.largest.kind, field.largest.first, field.largest.second) == ("not finite", "5", "nan")


def test_two_infinities_of_one_sign_are_equal_and_of_two_are_not(recorded: Make) -> None:
    one, other = recorded(), recorded()
    for trace in (one, other):
        at(trace, "forward", 1)["loss"] = "inf"
    assert compare(one, other).verdict is Verdict.EQUAL

    at(other, "forward", 1)["loss"] = "-inf"
    (found,) = compare(one, other).differences
    assert str(found) == "loss at step 1, micro-batch 0: not finite: inf and -inf"


def test_the_largest_gap_of_two_arrays_is_measured_against_the_largest_value(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        outputs = logits()
        outputs[0, 1] += 0.25
        outputs[1, 2] -= 0.5
        write_arrays(trace, values(), outputs)

    (found,) = altered(recorded, alter).differences
    assert (found.place.subject, found.component, found.absolute, found.relative) == ("image", None, 0.5, 0.5)
    first, second = float(logits()[1, 2]), float(logits()[1, 2]) - 0.5
    assert (found.first, found.second) == (f"{first:.9g} at element 6", f"{second:.9g} at element 6")


def test_values_that_are_not_finite_are_counted_on_each_side(recorded: Make) -> None:
    one, other = recorded(), recorded()
    for trace, lost in ((one, 1), (other, 2)):
        last = values()
        last["last/1"].flat[:lost] = float("inf")
        write_arrays(trace, last, logits())
    (found,) = compare(one, other).differences

    assert str(found) == "final values at connector.weight (connector): not finite: 1 not finite and 2 not finite"


@pytest.mark.parametrize("place", ["loss", "gradient norm at unscale", "value of backward", "norm that was clipped"])
def test_what_overflows_in_a_step_that_both_skipped_is_no_difference_but_in_the_loss(
    recorded: Make, place: str
) -> None:
    one, other = recorded(), recorded()
    for trace in (one, other):
        at(trace, "optimizer_step", 1)["skipped"] = True
        at(trace, "forward", 1)["loss"] = "nan" if place == "loss" else 6.0
        at(trace, "backward", 1)["value"] = "nan" if place.startswith("value") else 6.0
        at(trace, "clip", 1)["total"] = "nan" if place.startswith("norm") else 0.75
        unscaled = next(e for e in trace.of("gradients") if (e["step"], e["moment"]) == (1, "unscale"))
        unscaled["norm"][2] = "nan" if place.startswith("gradient") else 0.25

    assert compare(one, other).verdict is (Verdict.DIFFERENT if place == "loss" else Verdict.EQUAL)


def test_an_overflow_on_one_side_alone_is_a_difference_though_both_skipped(recorded: Make) -> None:
    one, other = recorded(), recorded()
    for trace in (one, other):
        at(trace, "optimizer_step", 1)["skipped"] = True
    at(other, "clip", 1)["total"] = "inf"
    assert [d.place.field for d in compare(one, other).differences] == ["norm that was clipped"]

    other.events.remove(at(other, "clip", 1))
    at(one, "clip", 1)["total"] = "inf"
    assert [d.kind for d in compare(one, other).differences] == ["missing"]


def test_differences_come_stage_by_stage_and_what_has_no_step_first(recorded: Make) -> None:
    def alter(trace: Trace) -> None:
        at(trace, "forward", 0)["loss"] = 1.0
        at(trace, "forward", 2)["loss"] = 1.0
        trace.events[1]["fingerprint"][0] = "other"
        trace.of("final")[0]["fingerprint"][0] = "other"
        next(probe for probe in trace.probes() if probe["name"] == "generated")["ids"]["image"] = [1, 3]
        trace.reload[0]["files"]["config.json"]["digest"] = "other"
        trace.reload[1]["unexpected"] = ["a"]

    found = altered(recorded, alter)
    assert [(d.place.stage, d.place.step) for d in found.differences] == [
        ("before", None), ("training", 0), ("training", 2), ("after", None), ("probe", None), ("saved", None),
        ("reloaded", None)]  # fmt: skip


def test_a_probe_that_could_not_be_made_has_generated_nothing(recorded: Make) -> None:
    def fail(trace: Trace) -> None:
        probe = next(probe for probe in trace.probes() if probe["name"] == "generated")
        probe["error"] = f"RuntimeError: {len(probe.pop('ids'))} samples"

    (difference,) = altered(recorded, fail).differences
    assert (difference.kind, difference.place.field) == ("missing", "generated ids")

    both = recorded(), recorded()
    for trace in both:
        fail(trace)
    assert compare(*both).differences == ()


def test_micro_batches_come_in_order(recorded: Make) -> None:
    one, other = recorded(), recorded()
    for trace in (one, other):
        events = trace.of("forward")[0], trace.of("backward")[0]
        trace.events += [{**event, "micro": 1} for event in reversed(events)]
    for event in (*other.of("forward"), *other.of("backward")):
        if event["step"] == 0:
            event.update({name: 1.0 for name in ("loss", "value") if name in event})

    assert [(d.place.micro, d.place.field) for d in compare(one, other).differences] == [
        (0, "loss"), (0, "value of backward"), (1, "loss"), (1, "value of backward")]  # fmt: skip


@pytest.mark.parametrize(
    ("component", "sizes", "said"),
    [
        (None, (), "loss at step 1, micro-batch 0: kind: a and b"),
        ("vision", (), "loss at step 1, micro-batch 0 (vision): kind: a and b"),
        (None, (0.5,), "loss at step 1, micro-batch 0: kind: a and b, off by 0.5"),
        (None, (0.12345, 0.0), "loss at step 1, micro-batch 0: kind: a and b, off by 0.123 (0 of the larger)"),
    ],
)
def test_a_difference_says_what_it_knows(component: str | None, sizes: tuple[float, ...], said: str) -> None:
    assert str(Difference("kind", PLACE, component, "a", "b", *sizes)) == said


def test_what_is_written_down_of_a_field(recorded: Make) -> None:
    difference = Difference("kind", PLACE, "vision", "a", "b", 0.5, 0.25)
    written = {"kind": "kind", "place": "step 1, micro-batch 0", "component": "vision", "first": "a", "second": "b",
               "absolute": 0.5, "relative": 0.25, "field": "loss", "step": 1}  # fmt: skip
    tolerance = {"relative": 0.5, "absolute": 0.0, "reach": 0.0, "origin": "bits are promised", "later": 0.0}

    assert difference.to_json() == written
    assert FieldComparison("loss", 3, 1, Tolerance(0.5), difference).to_json() == {
        "field": "loss", "compared": 3, "beyond": 1, "tolerance": tolerance, "largest": written}  # fmt: skip
    assert FieldComparison("loss", 0, 0, None, None).to_json() == {
        "field": "loss", "compared": 0, "beyond": 0, "tolerance": None, "largest": None}  # fmt: skip
    whole = Comparison(Verdict.DIFFERENT, "t", ("r",), (difference,), (), ("e",), ("m",))
    assert whole.to_json() == {
        "verdict": "different", "tolerances": "t", "reasons": ["r"], "environment": ["e"], "renamed": ["m"],
        "first": written, "differences": [written], "fields": []}  # fmt: skip
    assert Comparison(Verdict.EQUAL, "t").to_json()["first"] is None
