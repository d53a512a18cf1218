"""What two runs are compared by: everything that was seen, where and when, in the order in which it came about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness.comparator.arrays_of import final_values, output_values
from harness.comparator.observed import Place, observations
from harness.trace.reader import Trace
from tests.comparator.conftest import KEYS, logits, values

Make = Callable[[], Trace]


def seen(trace: Trace) -> list[tuple[str, str, str, Any, str | None]]:
    """Stage, field, place, value and component of each observation; of an array its shape alone."""
    return [
        (
            one.place.stage,
            one.place.field,
            str(one.place),
            one.value.shape if isinstance(one.value, np.ndarray) else one.value,
            one.component,
        )
        for one in observations(trace)
    ]


def only(trace: Trace, kind: str, step: int = 0) -> list[tuple[str, Any]]:
    """Where and what is seen in the events of one kind at one step, by field."""
    trace.events = [
        one for one in trace.events if one["kind"] in (kind, "parameters") and one.get("step", step) == step
    ]
    return [(f"{field} at {place}", value) for stage, field, place, value, _ in seen(trace) if stage == "training"]


AT = "at step 1, micro-batch 0"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("forward", [
            (f"samples {AT}", ("s1",)), (f"pixels {AT}", "p"), (f"labels {AT}", 3), (f"loss {AT}", 6.0)]),
        ("backward", [(f"value of backward {AT}", 6.0)]),
        ("clip", [(f"norm that was clipped {AT}", 0.75)]),
        ("scaler_update", [(f"loss scale {AT}", 1024.0)]),
        ("gradients", [
            (f"gradient norm at {moment} {AT}, {key}", norm)
            for moment in ("backward", "unscale", "optimizer")
            for key, norm in zip(KEYS, (None, 0.5, 0.25, 0.125), strict=True)]),
        ("optimizer_step", [
            (f"skipped {AT}", False), (f"learning rate {AT}, group 0", 1e-3), (f"optimizer state {AT}", "state-1"),
            (f"random state {AT}", "random-1"),
            *((f"weights {AT}, {key}", f"{key}-1") for key in KEYS),
            *((f"weights' mean square {AT}, {key}", 2.0 + place) for place, key in enumerate(KEYS)),
            *((f"weights' peak {AT}, {key}", 2.0) for key in KEYS)]),
        ("zero_grad", []),
    ],
)  # fmt: skip
def test_what_is_seen_of_training(recorded: Make, kind: str, expected: list[tuple[str, Any]]) -> None:
    assert only(recorded(), kind, 1) == expected


def test_what_is_seen_before_training_and_after_it(recorded: Make) -> None:
    found = seen(recorded())
    before = [one for one in found if one[0] == "before"]
    after = [one for one in found if one[0] not in ("before", "training")]

    assert found[: len(before)] == before
    assert before == [
        ("before", field, key, value, key.split(".")[0])
        for key in KEYS
        for field, value in (("shape", (2, 2)), ("dtype", "float32"), ("trains", True), ("first value", f"{key}-first"))
    ]
    assert after == [
        *(
            ("after", field, key, value, key.split(".")[0])
            for key in KEYS
            for field, value in (("final weights", f"{key}-last"), ("final values", (2, 2)))
        ),
        ("after", "final optimizer state", "optimizer0", "state", None),
        ("probe", "outputs", "image", (2, 4), None),
        ("probe", "generated ids", "image", (1, 2), None),
        *(("saved", "saved tensor", key, f"{key}-last", None) for key in KEYS),
        ("saved", "saved file", "config.json", "config", None),
        ("reloaded", "model class", "reloaded", "Demo", None),
        ("reloaded", "missing keys", "reloaded", (), None),
        ("reloaded", "unexpected keys", "reloaded", (), None),
    ]
    assert found[-len(after) :] == after


def test_gradients_and_weights_bear_their_component(recorded: Make) -> None:
    found = {(field, component) for stage, field, _, _, component in seen(recorded()) if stage == "training"}

    assert {("gradient norm at backward", "vision"), ("weights", "connector"), ("weights' peak", "language")} <= found
    assert ("loss", None) in found


def test_an_adapter_is_drawn_and_a_copy_is_not(recorded: Make) -> None:
    trace = recorded()
    trace.events[1]["role"] = ["base", "adapter", "copy", "original"]

    fields = {place: field for _, field, place, value, _ in seen(trace) if str(value).endswith("-first")}
    assert list(fields.values()) == ["first value", "drawn value", "first value", "first value"]


def test_a_copy_has_a_name_of_its_own(recorded: Make) -> None:
    trace = recorded()
    trace.events[1]["role"][1] = "copy"

    assert "connector.weight (copy)" in {place for _, field, place, _, _ in seen(trace) if field == "shape"}


def test_an_evaluation_is_not_compared(recorded: Make) -> None:
    trace = recorded()
    for event in trace.of("forward"):
        event["training"] = False

    assert "loss" not in {field for _, field, *_ in seen(trace)}


def test_what_was_not_recorded_is_not_seen(recorded: Make) -> None:
    trace = recorded()
    trace.events = [event for event in trace.events if event["kind"] != "probe"]
    final, closing = trace.of("final")[0], trace.of("closing")[0]
    final.pop("arrays")
    closing.pop("optimizer_states")
    trace.reload.clear()

    assert final_values(trace) == {}
    assert output_values(trace) == {}
    assert {(stage, field) for stage, field, *_ in seen(trace) if stage not in ("before", "training")} == {
        ("after", "final weights")
    }


def test_a_backward_of_no_value_and_a_clip_of_no_norm_are_seen_as_such(recorded: Make) -> None:
    trace = recorded()
    trace.of("backward")[0].pop("value")
    trace.of("clip")[0].pop("total")

    found = {(field, place): value for _, field, place, value, _ in seen(trace)}
    assert found["value of backward", "step 0, micro-batch 0"] is None
    assert found["norm that was clipped", "step 0, micro-batch 0"] is None


def test_steps_of_no_model_that_is_known_have_no_weights(recorded: Make) -> None:
    trace = recorded()
    trace.events = [event for event in trace.events if event["kind"] not in ("parameters", "final")]
    for event in trace.of("optimizer_step"):
        event["values"] = {}

    fields = {field for _, field, *_ in seen(trace)}
    assert "learning rate" in fields
    assert "weights" not in fields


def test_a_probe_without_arrays_gave_no_outputs(recorded: Make) -> None:
    trace = recorded()
    probe = trace.probe("outputs")
    assert probe is not None
    probe["arrays"] = None

    assert output_values(trace) == {}


def test_arrays_are_those_of_the_trace(recorded: Make) -> None:
    trace = recorded()

    assert {index: array.tolist() for index, array in final_values(trace).items()} == {
        int(name.split("/")[1]): array.tolist() for name, array in values().items()
    }
    assert output_values(trace)["image"].tolist() == logits().tolist()


def test_what_lies_in_the_saved_directory_and_what_is_made_of_it(recorded: Make) -> None:
    trace = recorded()
    del trace.reload[0]["tensors"]["vision.weight"]["fingerprint"]
    trace.reload[1].update(processor_class="P", tokenizer_class="T", missing=["a"], unexpected=["b", "c"])

    found = [(field, place, value) for stage, field, place, value, _ in seen(trace) if stage in ("saved", "reloaded")]
    assert ("saved tensor", "vision.weight", None) in found
    assert found[-4:] == [
        ("processor class", "reloaded", "P"),
        ("tokenizer class", "reloaded", "T"),
        ("missing keys", "reloaded", ("a",)),
        ("unexpected keys", "reloaded", ("b", "c")),
    ]


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (Place("training", "f", 2, 1, "a"), "step 2, micro-batch 1, a"),
        (Place("training", "f", 0, 0), "step 0, micro-batch 0"),
        (Place("training", "f", 2), "step 2"),
        (Place("training", "f"), "training"),
        (Place("saved", "f", subject="a"), "a"),
    ],
)
def test_a_place_says_when_and_of_what(place: Place, said: str) -> None:
    assert str(place) == said
