"""A trace directory read back: what it refuses, where it stops, what became of the parameters."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.refusal import Refused
from harness.trace.naming import Naming
from harness.trace.reader import Trace, read_trace
from harness.trace.schema import FORMAT_VERSION

WriteTrace = Callable[..., Path]
Traced = Callable[..., Trace]


def refused(directory: Path) -> str:
    with pytest.raises(Refused) as caught:
        read_trace(directory)
    line = str(caught.value)
    assert "\n" not in line
    assert str(directory) in line
    return line


def test_a_directory_without_header_is_refused(tmp_path: Path) -> None:
    assert "is not a trace: no header.json; name a trace directory" in refused(tmp_path)
    assert "is not a trace" in refused(tmp_path / "none")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("{", "header.json is damaged", id="not JSON"),
        pytest.param("", "header.json is damaged", id="empty"),
        pytest.param("[1]", "header.json holds no object", id="list"),
        pytest.param("{}", "format None", id="no format"),
        pytest.param('{"format": "1"}', "format 1, this harness reads", id="format is a word"),
        pytest.param(json.dumps({"format": FORMAT_VERSION + 1}), "; upgrade the harness", id="newer format"),
        pytest.param('{"format": true}', "format True, this harness reads", id="format is a truth"),
        pytest.param('{"format": 0}', "; record the run again", id="format before the first"),
        pytest.param("[" * 100_000, "header.json is damaged: it is nested too deep", id="nested too deep"),
    ],
)
def test_a_header_that_cannot_be_read_is_refused(write_trace: WriteTrace, text: str, said: str) -> None:
    assert said in refused(write_trace(files={"header.json": text}))


@pytest.mark.parametrize("name", ["measured.json", "outcome.json"])
def test_a_damaged_file_beside_the_stream_is_refused(write_trace: WriteTrace, name: str) -> None:
    assert f"{name} is damaged" in refused(write_trace(files={name: "{"}))


@pytest.mark.parametrize(
    "line",
    [
        pytest.param('{"kind": "forw', id="cut off"),
        pytest.param("", id="empty"),
        pytest.param("\x00\x00", id="zeros"),
        pytest.param("3", id="a number"),
        pytest.param("{}", id="without kind"),
        pytest.param('{"kind": 3}', id="kind is a number"),
        pytest.param("[" * 100_000, id="nested too deep"),
    ],
)
@pytest.mark.parametrize("stream", ["rank-0", "reload"])
def test_a_damaged_line_is_refused_by_its_number(write_trace: WriteTrace, stream: str, line: str) -> None:
    text = f'{{"kind": "stage", "stage": "build"}}\n{line}\n{{"kind": "closing"}}\n'

    assert f"{stream}/events.jsonl: line 2 is damaged" in refused(write_trace(files={f"{stream}/events.jsonl": text}))


def test_a_line_with_other_bytes_than_text_is_refused(write_trace: WriteTrace) -> None:
    directory = write_trace()
    (directory / "rank-0" / "events.jsonl").write_bytes(b'{"kind": "closing"}\n{"kind": "\xff"}\n')

    assert "events.jsonl: line 2 is damaged" in refused(directory)


def test_a_stream_that_is_a_folder_is_refused(write_trace: WriteTrace) -> None:
    directory = write_trace()
    (directory / "reload" / "events.jsonl").mkdir(parents=True)

    assert "events.jsonl: cannot be read: Is a directory" in refused(directory)


@pytest.mark.parametrize("tail", ['{"kind": "clos', '{"kind": "closing"}', "\ufffd", ""], ids=repr)
def test_a_last_line_without_its_end_is_left_out(traced: Traced, tail: str) -> None:
    trace = traced('{"kind": "stage", "stage": "build"}\n{"kind": "stage", "stage": "train"}\n' + tail)

    assert [event["stage"] for event in trace.events] == ["build", "train"]
    assert (trace.closed, trace.stage) == (False, "train")


def test_a_stream_cut_inside_a_character_is_kept_up_to_there(write_trace: WriteTrace) -> None:
    directory = write_trace()
    (directory / "rank-0" / "events.jsonl").write_bytes(b'{"kind": "closing"}\n{"kind": "\xc3')

    assert [event["kind"] for event in read_trace(directory).events] == ["closing"]


def test_a_trace_without_streams_is_empty(write_trace: WriteTrace) -> None:
    directory = write_trace()
    (directory / "rank-0" / "events.jsonl").unlink()
    trace = read_trace(directory)

    assert (trace.events, trace.reload, trace.parameters, trace.modules) == ([], [], [], {})
    assert (trace.closed, trace.stage, trace.failure, trace.reloaded, trace.outcome) == (False, "start", None, None, {})


def test_every_part_of_a_trace_is_found(traced: Traced) -> None:
    events = [
        {"kind": "model", "modules": {"path": ["", "a"], "type": ["M", "torch.Linear"]}},
        {"kind": "gradients", "moment": "backward"},
        {"kind": "gradients", "moment": "optimizer"},
        {"kind": "optimizer_step", "step": 0, "skipped": True},
        {"kind": "optimizer_step", "step": 1, "skipped": False},
        {"kind": "probe", "name": "outputs"},
        {"kind": "failure", "stage": "save"},
        {"kind": "closing"},
    ]
    reload = '{"kind": "stage"}\n{"kind": "inventory", "files": {}}\n{"kind": "reloaded", "missing": []}\n'
    trace = traced(
        events, files={"reload/events.jsonl": reload, "measured.json": '{"s": 1}', "outcome.json": '{"code": 0}'}
    )

    assert trace.modules == {"": "M", "a": "torch.Linear"}
    assert [event["moment"] for event in trace.gradients("optimizer")] == ["optimizer"]
    assert ([s["step"] for s in trace.steps], [s["step"] for s in trace.effective_steps]) == ([0, 1], [1])
    assert trace.probe("outputs") == {"kind": "probe", "name": "outputs"}
    assert trace.probe("other_pixels") is None
    assert trace.failure == {"kind": "failure", "stage": "save"}
    assert trace.inventory == {"kind": "inventory", "files": {}}
    assert trace.reloaded == {"kind": "reloaded", "missing": []}
    assert (trace.closed, trace.measured, trace.outcome) == (True, {"s": 1}, {"code": 0})


HEADER: dict[str, Any] = {
    "format": 1,
    "intent": {"renames": [["^model\\.eye", "vision"]], "components": [["vision\\.", "vision"], ["", "language"]]},
}
PARAMETERS = {
    "kind": "parameters",
    "model": "m",
    "path": ["model.eye.w", "model.head.w", "model.still.w"],
    "shape": [[2, 3], [], [4]],
    "dtype": ["float32", "bfloat16", "float32"],
    "role": ["base", "copy", "base"],
    "requires_grad": [True, True, False],
    "fingerprint": ["a0", "b0", "c0"],
}


def step(fingerprint: list[str], changed: list[int]) -> dict[str, Any]:
    return {
        "kind": "optimizer_step",
        "skipped": False,
        "values": {"m": {"fingerprint": fingerprint, "changed": changed}},
    }


STEPS = [step(["a1", "b0", "c0"], [6, 0, 0]), step(["a2", "b0", "c0"], [5, 0, 0])]


def lacking(record: dict[str, Any], field: str) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != field}


@pytest.mark.parametrize(
    ("events", "line", "field"),
    [
        pytest.param([lacking(PARAMETERS, "shape")], 1, "shape", id="column"),
        pytest.param([PARAMETERS, lacking(STEPS[0], "values")], 2, "values", id="values of a step"),
        pytest.param([PARAMETERS, {**STEPS[0], "values": {}}], 2, "m", id="values of the model"),
        pytest.param([PARAMETERS, {"kind": "final"}], 2, "model", id="model of the last values"),
        pytest.param([{"kind": "model"}], 1, "modules", id="module tree"),
    ],
)
def test_a_record_without_a_field_is_refused_by_its_line(
    traced: Traced, events: list[dict[str, Any]], line: int, field: str
) -> None:
    with pytest.raises(Refused, match=rf"events\.jsonl: line {line} is damaged: it has no {field}; record"):
        traced(events, header=HEADER)


def test_a_header_without_a_field_is_refused(traced: Traced) -> None:
    with pytest.raises(Refused, match=r"header\.json: is damaged: it has no intent; record"):
        _ = traced().header["intent"]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param({"dtype": ["float32"]}, id="column too short"),
        pytest.param({"shape": [3, 3, 3]}, id="shapes are numbers"),
        pytest.param({"path": 3}, id="column is a number"),
        pytest.param({"role": None}, id="column is nothing"),
    ],
)
def test_columns_that_disagree_are_refused(traced: Traced, damage: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="damaged: its record of the parameters contradicts itself"):
        traced([{**PARAMETERS, **damage}], header=HEADER)


def test_a_module_tree_that_disagrees_is_refused(traced: Traced) -> None:
    with pytest.raises(Refused, match="damaged: its record of the model contradicts itself"):
        traced([{"kind": "model", "modules": {"path": ["a"], "type": []}}])


def test_a_trace_takes_the_names_of_the_intent_it_is_judged_by(traced: Traced) -> None:
    trace = traced([PARAMETERS], header=HEADER)
    other = trace.named_by(Naming([(r"^model\.", "")], [(r"eye\.", "connector")]))

    assert [p.key for p in trace.parameters] == ["vision.w", "model.head.w", "model.still.w"]
    assert [p.key for p in other.parameters] == ["eye.w", "head.w", "still.w"]
    assert [p.component for p in other.parameters] == ["connector", "other", "other"]
    assert other is trace.named_by(Naming([(r"^model\.", "")], [(r"eye\.", "connector")]))


def test_an_intent_without_names_leaves_those_of_the_trace(traced: Traced) -> None:
    trace = traced([PARAMETERS], header=HEADER)

    assert trace.named_by(Naming()) is trace
    assert trace.named_by(Naming(HEADER["intent"]["renames"], HEADER["intent"]["components"])) is trace


@pytest.mark.parametrize("intent", [3, [1], {"renames": ["a"]}, {"components": [["(", "vision"]]}], ids=str)
def test_recorded_names_that_are_none_are_refused(traced: Traced, intent: Any) -> None:
    with pytest.raises(Refused, match=r"header\.json: is damaged: its intent has no names"):
        traced([PARAMETERS], header={"format": 1, "intent": intent})


def test_parameters_carry_their_names_and_their_history(traced: Traced) -> None:
    eye, head, still = traced([PARAMETERS, *STEPS], header=HEADER).parameters

    assert [(p.key, p.component) for p in (eye, head)] == [("vision.w", "vision"), ("model.head.w", "language")]
    assert [(p.shape, p.size, p.dtype, p.role) for p in (eye, head)] == [
        ((2, 3), 6, "float32", "base"),
        ((), 1, "bfloat16", "copy"),
    ]
    assert [p.index for p in (eye, head, still)] == [0, 1, 2]
    assert [p.requires_grad for p in (eye, head, still)] == [True, True, False]
    assert (eye.first, eye.last, eye.changed, eye.elements_moved) == ("a0", "a2", (6, 5), 6)
    assert [p.moved for p in (eye, head, still)] == [True, False, False]


def test_a_change_after_the_last_step_is_a_change(traced: Traced) -> None:
    final = {
        "kind": "final",
        "model": "m",
        "fingerprint": ["a2", "b0", "c9"],
        "changed_since_last_step": [0, 0, 7],
    }
    still = traced([PARAMETERS, *STEPS, final], header=HEADER).parameters[2]

    assert (still.last, still.changed, still.elements_moved, still.moved) == ("c9", (0, 0), 7, True)


def test_a_parameter_that_went_away_and_came_back_has_moved(traced: Traced) -> None:
    back = [step(["a1", "b0", "c0"], [6, 0, 0]), step(["a0", "b0", "c0"], [6, 0, 0])]
    eye = traced([PARAMETERS, *back], header=HEADER).parameters[0]

    assert (eye.first, eye.last, eye.moved) == ("a0", "a0", True)


def test_without_any_step_nothing_is_known_to_have_moved(traced: Traced) -> None:
    eye = traced([PARAMETERS], header=HEADER).parameters[0]

    assert (eye.last, eye.changed, eye.elements_moved, eye.moved) == (None, (), 0, False)


def test_the_final_values_of_another_model_are_not_taken(traced: Traced) -> None:
    other = {"kind": "final", "model": "n", "fingerprint": ["x"], "changed_since_last_step": [1]}
    eye = traced([PARAMETERS, *STEPS, other], header=HEADER).parameters[0]

    assert eye.last == "a2"
