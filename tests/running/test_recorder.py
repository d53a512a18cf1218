"""The recorder sees through torch: a stranger's script gives the same stream, and no number changes by recording."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.recipe import Recipe
from harness.trace.reader import read_trace

HERE = Path(__file__).parent
ANNOUNCED_BY_THE_RUN = ("stage", "data", "encoded", "probe")


def connector(precision: str, accumulation: int = 1) -> Recipe:
    return Recipe(
        family="llava-1.5-7b",
        tune=["connector"],
        precision=precision,
        optimizer={"learning_rate": 2e-3, "weight_decay": 0.1, "accumulation": accumulation},
        save={"what": "nothing"},
    )


def lines(trace: Path) -> list[str]:
    every = (trace / "rank-0" / "events.jsonl").read_text().splitlines()
    return [line for line in every if json.loads(line)["kind"] not in ANNOUNCED_BY_THE_RUN]


@pytest.mark.parametrize(("precision", "accumulation"), [("fp32", 1), ("fp16", 2)])
def test_a_foreign_script_gives_the_same_stream(precision, accumulation, make, perform, bases, tmp_path: Path) -> None:
    recipe = connector(precision, accumulation)
    ours = make(recipe)
    base = str(bases / "llava-1.5-7b")
    perform("write_batches", recipe=recipe.model_dump(mode="json"), base=base, to=str(tmp_path / "batches.safetensors"))

    perform(
        "record_script",
        script=str(HERE / "foreign_loop.py"),
        arguments=[base, str(tmp_path / "batches.safetensors"), precision],
        trace=str(tmp_path / "foreign"),
    )

    expected, seen = lines(ours.directory), lines(tmp_path / "foreign")
    assert len(ours.steps) == recipe.steps
    assert [json.loads(line)["kind"] for line in seen] == [json.loads(line)["kind"] for line in expected]
    assert seen == expected


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_recording_changes_no_number(precision, make, perform, bases, tmp_path: Path) -> None:
    recipe = connector(precision, accumulation=2)
    recorded = make(recipe)

    perform(
        "train_without_recorder",
        recipe=recipe.model_dump(mode="json"),
        base=str(bases / "llava-1.5-7b"),
        directory=str(tmp_path / "plain"),
        to=str(tmp_path / "plain.json"),
    )

    plain = json.loads((tmp_path / "plain.json").read_text())
    assert [parameter.last for parameter in recorded.parameters] == plain["parameters"]
    assert [event["loss"] / 2 for event in recorded.of("forward")] == plain["losses"]


def test_the_same_recipe_gives_the_same_trace_byte_for_byte(make) -> None:
    recipe = Recipe(
        family="llava-1.5-7b",
        tune=["connector"],
        lora={"rank": 4, "dropout": 0.1, "targets": r".*language_model\..*(q_proj|v_proj)"},
        precision="bf16",
    )
    from harness.checks import CHECKS

    first, second = (make(recipe, checks=CHECKS, folder=folder).directory for folder in ("one", "two"))

    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(second) for path in second.rglob("*") if path.is_file())
    differing = [str(path) for path in files if (first / path).read_bytes() != (second / path).read_bytes()]
    assert differing == ["measured.json"]


def test_a_trace_without_its_closing_record_is_read_up_to_where_it_ends(make) -> None:
    trace = make(connector("fp32"))
    stream = trace.directory / "rank-0" / "events.jsonl"
    text = stream.read_text()
    third = [at for at in range(len(text)) if text.startswith('{"kind":"optimizer_step"', at)][2]
    stream.write_text(text[: third + 100])

    cut = read_trace(trace.directory)

    assert not cut.closed
    assert len(cut.steps) == 2
    assert all(len(parameter.changed) == 2 for parameter in cut.parameters)


def test_what_is_recorded_holds_no_text_and_no_pixels(make) -> None:
    from harness.data import SHIPPED, read_samples

    trace = make(connector("fp32"))
    written = (trace.directory / "rank-0" / "events.jsonl").read_text() + (trace.directory / "header.json").read_text()

    said = [turn.text for sample in read_samples(SHIPPED) for turn in sample.turns if len(turn.text) > 12]
    assert said
    assert not [text for text in said if text in written]
    assert not [name for name in trace.directory.rglob("*") if "probe-inputs" in name.name]
