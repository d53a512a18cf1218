"""What a report draws of a trace: a real one, one that lacks things, one that is damaged."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from harness.report.traced import evidence, evidence_of
from harness.trace.reader import read_trace
from tests.report.conftest import RECIPE, edit


def test_a_real_run_has_all_there_is_to_draw(run_folder: Path, trace: Path) -> None:
    found = evidence([run_folder], [RECIPE, "no/such"])

    assert list(found) == [RECIPE]
    one, read = found[RECIPE], read_trace(trace)
    assert one.why == ""
    assert len(one.steps) == len(read.steps) == len(one.loss) > 1
    assert all(isinstance(value, float) and 0 < value < 20 for value in one.loss)
    assert set(one.norms) == {"language", "connector"}
    assert all(value and value > 0 for values in one.norms.values() for value in values)
    assert sum(part.parameters for part in one.parts) == sum(p.size for p in read.parameters)


def test_what_was_asked_and_what_moved_is_told_by_component(trace: Path) -> None:
    parts = {part.component: part for part in evidence_of(read_trace(trace)).parts}

    language = parts.pop("language")
    assert language.asked == "adapter"
    assert language.moved == language.to_move > 0
    assert language.moved_though_frozen == 0 < language.to_stay
    assert {name: part.asked for name, part in parts.items() if part.asked != "frozen"} == {"connector": "trains"}
    assert not any(part.wrong for part in (language, *parts.values()))


def test_a_frozen_tensor_that_moved_is_marked(trace: Path) -> None:
    def move(record: dict[str, Any]) -> None:
        if record["kind"] == "final":
            record["fingerprint"][0] = "0" * 16

    edit(trace, move)
    wrong = {part.component: part.wrong for part in evidence_of(read_trace(trace)).parts if part.wrong}

    assert wrong == {"vision": "1 moved though frozen"}


def test_a_component_that_should_train_and_did_not_is_marked(trace: Path) -> None:
    asked = {p.index for p in read_trace(trace).parameters if p.requires_grad}
    first = {p.index: p.first for p in read_trace(trace).parameters}

    def freeze(record: dict[str, Any]) -> None:
        columns = [record] if record["kind"] == "final" else list(record.get("values", {}).values())
        for column in (column for column in columns if "fingerprint" in column):
            for index in asked:
                column["fingerprint"][index] = first[index]
                column.get("changed", column.get("changed_since_last_step"))[index] = 0

    edit(trace, freeze)
    (language,) = (part for part in evidence_of(read_trace(trace)).parts if part.component == "language")

    assert (language.moved, language.wrong) == (0, "asked to train, nothing moved")


def test_without_an_intent_what_requires_a_gradient_counts_as_asked(trace: Path) -> None:
    header = json.loads((trace / "header.json").read_text())
    (trace / "header.json").write_text(json.dumps({**header, "intent": None}))

    asked = {part.asked for part in evidence_of(read_trace(trace)).parts}

    assert any("no intent recorded" in words for words in asked)


def test_losses_that_a_trainer_computes_and_that_are_no_numbers_are_drawn(trace: Path) -> None:
    def change(record: dict[str, Any]) -> None:
        if record["kind"] == "forward":
            record["loss"] = None
        if record["kind"] == "backward":
            record["loss"] = 2.5 if record["step"] else "nan"

    edit(trace, change)
    first, *others = evidence_of(read_trace(trace)).loss

    assert first is not None
    assert math.isnan(first)
    assert set(others) == {2.5}


def test_skipped_steps_are_named(trace: Path) -> None:
    edit(trace, lambda record: record.update(skipped=record["step"] == 1) if record["kind"] == "optimizer_step" else 0)

    assert evidence_of(read_trace(trace)).skipped == (1,)


@pytest.mark.parametrize(
    ("kind", "lacking"),
    [("gradients", "norms"), ("optimizer_step", "steps"), ("optimizer_step", "speed"), ("model", ""), ("final", "")],
)
def test_what_a_trace_lacks_is_not_drawn_and_breaks_nothing(
    run_folder: Path, trace: Path, kind: str, lacking: str
) -> None:
    edit(trace, lambda record: record["kind"] != kind)

    found = evidence([run_folder], [RECIPE])[RECIPE]

    assert found.why == ""
    assert not (lacking and getattr(found, lacking))


@pytest.mark.parametrize(
    "break_it",
    [
        lambda trace: (trace / "rank-0" / "events.jsonl").write_text("{\n"),
        lambda trace: (trace / "header.json").write_text("[]"),
        lambda trace: edit(trace, lambda record: record.update(norm=[]) if record["kind"] == "gradients" else 0),
        lambda trace: edit(trace, lambda record: record.update(loss="x") if record["kind"] == "forward" else 0),
        lambda trace: (trace / "measured.json").write_text('{"seconds": {"train": "long"}}'),
    ],
    ids=["stream", "header", "norms", "loss", "measured"],
)
def test_a_damaged_trace_says_so_and_breaks_nothing(run_folder: Path, trace: Path, break_it: Any) -> None:
    break_it(trace)

    found = evidence([run_folder], [RECIPE])[RECIPE]

    assert found.why.startswith("The trace ")
    assert not found.steps


def test_speed_is_that_of_the_training_alone(trace: Path) -> None:
    (trace / "measured.json").write_text('{"seconds": {"build": 9.0, "train": 0.5}}')

    speed = evidence_of(read_trace(trace)).speed

    assert speed is not None
    assert (speed.seconds, speed.steps_per_second) == (0.5, speed.steps / 0.5)
    assert speed.samples_per_second == speed.samples / 0.5 > 0
    batches = [event["samples"] for event in read_trace(trace).of("forward") if event["training"]]
    assert speed.samples == sum(map(len, batches)) == 2 * speed.steps, "those of its steps, not all that were announced"


@pytest.mark.parametrize("seconds", ["0", "null", "1e-320", "Infinity", "-1"])
def test_a_time_that_is_none_gives_no_speed(trace: Path, seconds: str) -> None:
    (trace / "measured.json").write_text(f'{{"seconds": {{"train": {seconds}}}}}')

    assert evidence_of(read_trace(trace)).speed is None
