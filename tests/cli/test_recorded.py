"""A run that was made once: its exit status and output, its trace judged again, its directory looked at, its report."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

SUITE = """
family: llava-1.5-7b
defaults: {size: tiny, steps: 2}
recipes:
  sound: {tune: [connector]}
  everywhere: {lora: {rank: 4, targets: [q_proj, v_proj]}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("recorded")
    (place / "two.yaml").write_text(SUITE)
    return place


@pytest.fixture(scope="module")
def ran(folder, train):
    return train("run", "two.yaml", "--out", folder / "out", folder=folder)


@pytest.fixture(scope="module")
def out(ran, folder) -> Path:
    assert ran.status == 1, ran
    return folder / "out"


@pytest.fixture(scope="module")
def results(out) -> list[dict]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


@pytest.fixture
def trace(out, tmp_path) -> Path:
    """A copy of the sound run's trace, to be damaged."""
    return Path(shutil.copytree(out / "runs" / "two_sound" / "trace", tmp_path / "trace"))


@pytest.fixture
def saved(out, tmp_path) -> Path:
    """A copy of what the sound run saved."""
    return Path(shutil.copytree(out / "runs" / "two_sound" / "saved", tmp_path / "saved"))


Alter = Callable[[dict], object]


def rewrite(stream: Path, kind: str, alter: Alter) -> None:
    """Alter the first record of a kind, in place."""
    records = [json.loads(line) for line in stream.read_text().splitlines()]
    alter(next(record for record in records if record["kind"] == kind))
    stream.write_text("".join(json.dumps(record) + "\n" for record in records))


# -- what the run said ---------------------------------------------------------------------------------------------


def test_a_run_with_a_failure_ends_with_1_and_says_nothing_on_standard_error(ran) -> None:
    assert (ran.status, ran.err) == (1, "")


def test_each_recipe_is_a_line_of_counts_and_the_run_ends_with_all_counts_and_a_verdict(ran, results) -> None:
    lines = [line for line in ran.out.splitlines() if line]
    count = len(results) // 2

    assert re.fullmatch(rf"two/sound    {count} checks: \d+ passed, \d+ not applicable    \d+\.\d s", lines[0])
    assert re.fullmatch(
        rf"two/everywhere    {count} checks: \d+ passed, 1 failed, \d+ not applicable    \d+\.\d s", lines[1]
    )
    assert lines[-3].startswith(f"{2 * count} checks of 2 recipes: ")
    assert re.fullmatch(r"1 of \d+ checks failed in 1 of 2 recipes\.", lines[-2])
    assert lines[-1].startswith("Report: ")


def test_a_failure_is_a_block_that_ends_with_the_command_that_repeats_it(ran) -> None:
    block = ran.out[ran.out.index("FAILED  ") :].split("\n\n")[0].splitlines()

    assert block[0] == "FAILED  adapters_where_intended"
    assert [line.split()[0] for line in block[1:]] == ["expected", "seen", "where", "cause", "do", "again"]
    assert block[-1] == "  again     harness run two.yaml --recipe everywhere -k adapters_where_intended"


def test_no_line_is_an_escape_sequence_where_no_terminal_is(ran) -> None:
    assert "\x1b" not in ran.out + ran.err


def test_a_run_leaves_results_reports_and_a_junit_file(out) -> None:
    assert {"results.jsonl", "report.md", "report.html", "junit.xml", "journal.jsonl", "runs"} <= {
        path.name for path in out.iterdir()
    }
    assert "</testsuites>" in (out / "junit.xml").read_text()


# -- check ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("recipe", "status"), [("sound", 0), ("everywhere", 1)])
def test_a_recorded_trace_gets_the_same_results_as_the_run_did(recipe, status, call, out, results) -> None:
    ran = call("check", out / "runs" / f"two_{recipe}" / "trace", "--json")

    again = sorted(json.loads(ran.out), key=lambda result: result["check"])
    assert again == [result for result in results if result["recipe"] == f"two/{recipe}"]
    assert (ran.status, ran.err) == (status, "")


def test_check_shows_each_failure_with_the_command_that_repeats_the_check(call, out) -> None:
    trace = out / "runs" / "two_everywhere" / "trace"

    ran = call("check", trace)

    assert ran.status == 1
    assert "FAILED  adapters_where_intended" in ran.out
    assert f"  again     harness check {trace}" in ran.out.splitlines()


def test_check_judges_against_another_intent(call, trace, tmp_path) -> None:
    intent = json.loads((trace / "header.json").read_text())["intent"]
    (tmp_path / "intent.yaml").write_text(json.dumps({**intent, "trains": []}))

    ran = call("check", trace, "--intent", tmp_path / "intent.yaml", "--json")

    failed = {result["check"] for result in json.loads(ran.out) if result["status"] == "failed"}
    assert ran.status == 1
    assert failed == {"trainable_set_as_intended", "frozen_parameters_unchanged", "saved_tensors_as_trained"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("trainz: []\n", "unknown setting trainz"),
        ("steps: many\n", "steps: "),
        ("a: [", "is not YAML"),
        ("- a\n", "there is no intent"),
        ("", "there is no intent"),
        ("\udcff", "is not YAML"),
        ('trains: ["("]\n', "trains"),
        ("steps: 3\nsteps: 4\n", "'steps' is given twice"),
        ("[" * 100_000, "is nested too deep"),
    ],
    ids=["unknown_key", "wrong_kind", "not_yaml", "a_list", "empty", "not_text", "not_an_expression", "twice", "deep"],
)
def test_an_intent_that_cannot_be_read_is_refused(text, said, call, trace, tmp_path) -> None:
    (tmp_path / "intent.yaml").write_bytes(text.encode(errors="surrogateescape"))

    line = call("check", trace, "--intent", tmp_path / "intent.yaml").refusal

    assert line.startswith(f"{tmp_path / 'intent.yaml'}: ")
    assert said in line


def test_an_intent_that_is_not_there_is_refused(call, trace, tmp_path) -> None:
    assert "No such file" in call("check", trace, "--intent", tmp_path / "nowhere.yaml").refusal


def test_a_directory_that_is_no_trace_is_refused(call, tmp_path, out) -> None:
    assert "is not a trace: no header.json" in call("check", tmp_path).refusal
    assert "is not a trace" in call("check", tmp_path / "nowhere").refusal
    assert "is not a trace" in call("check", out / "results.jsonl").refusal


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("header.json", "{", "header.json is damaged"),
        ("header.json", "[]", "holds no object"),
        ("header.json", '{"format": 1}', "there is no intent"),
        ("header.json", '{"format": 99, "intent": {}}', "upgrade the harness"),
        ("header.json", '{"format": 1, "intent": {"trainz": []}}', "unknown setting trainz"),
        ("outcome.json", "killed", "outcome.json is damaged"),
        ("measured.json", "{", "measured.json is damaged"),
    ],
)
def test_a_damaged_file_of_a_trace_is_refused(file, text, said, call, trace) -> None:
    (trace / file).write_text(text)

    assert said in call("check", trace).refusal


@pytest.mark.parametrize("stream", ["rank-0", "reload"])
def test_a_damaged_line_in_a_stream_is_refused_with_its_number(stream, call, trace) -> None:
    events = trace / stream / "events.jsonl"
    lines = events.read_text().splitlines(keepends=True)
    events.write_text("".join([lines[0], lines[1].rstrip()[:-2] + "\n", *lines[2:]]))

    assert call("check", trace).refusal.startswith(f"{events}: line 2 is damaged")


@pytest.mark.parametrize("line", ["[1]", "{}", "3"])
def test_a_line_that_is_json_and_no_record_is_refused_with_its_number(line, call, trace) -> None:
    events = trace / "rank-0" / "events.jsonl"
    lines = events.read_text().splitlines(keepends=True)
    events.write_text("".join([lines[0], f"{line}\n", *lines[1:]]))

    assert "line 2 is damaged" in call("check", trace).refusal


@pytest.mark.parametrize(
    ("kind", "field"), [("optimizer_step", "values"), ("parameters", "path"), ("model", "modules")]
)
def test_a_record_that_lacks_a_field_is_refused(kind, field, call, trace) -> None:
    rewrite(trace / "rank-0" / "events.jsonl", kind, lambda record: record.pop(field))

    assert "damaged" in call("check", trace).refusal


def test_a_stream_that_was_cut_off_is_judged_up_to_where_it_ends(call, trace) -> None:
    events = trace / "rank-0" / "events.jsonl"
    text = events.read_text()
    events.write_text(text[: text.index('{"kind":"closing"')])

    ran = call("check", trace, "--json")

    status = {result["check"]: result["status"] for result in json.loads(ran.out)}
    assert ran.status == 1
    assert status["run.completed"] == "failed"
    assert status["saved_directory_loads"] == "blocked"
    assert status["losses_finite"] == "passed"


def of_the_image_batch_differ(trace: Path) -> Path:
    """Let the loaded model's logits differ, so that the arrays beside both streams are read; the file of one."""
    rewrite(trace / "reload" / "events.jsonl", "reloaded", lambda record: record["outputs"].update(image="0" * 16))
    (arrays,) = (trace / "reload").glob("arrays-*.safetensors")
    return arrays


def test_the_arrays_of_a_trace_give_the_size_of_a_difference(call, trace) -> None:
    of_the_image_batch_differ(trace)

    ran = call("check", trace)

    assert ran.status == 1
    assert "FAILED  reloaded_outputs_equal_image" in ran.out
    assert "  seen      logits off by 0 " in ran.out


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: path.write_bytes(path.read_bytes()[:20]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff" * 500),
        Path.unlink,
    ],
    ids=["data_cut_off", "header_cut_off", "empty", "garbage", "gone"],
)
def test_a_damaged_file_of_arrays_is_refused(damage, call, trace) -> None:
    arrays = of_the_image_batch_differ(trace)
    damage(arrays)

    assert str(arrays) in call("check", trace).refusal


# -- inspect -------------------------------------------------------------------------------------------------------


def test_inspect_shows_every_tensor_that_the_index_promises(call, saved) -> None:
    promised = json.loads((saved / "model.safetensors.index.json").read_text())["weight_map"]

    shown = json.loads(call("inspect", saved, "--json").out)

    assert {key: facts["file"] for key, facts in shown["tensors"].items()} == promised
    assert shown["tensors"]["multi_modal_projector.linear_1.weight"]["shape"] == [64, 64]
    assert {facts["dtype"] for facts in shown["tensors"].values()} == {"F32"}
    assert {"config.json", "tokenizer.json", "model.safetensors.index.json"} <= set(shown["files"])


def test_inspect_ends_with_the_counts(call, saved) -> None:
    shards = len(list(saved.glob("*.safetensors")))
    tensors = len(json.loads((saved / "model.safetensors.index.json").read_text())["weight_map"])

    ran = call("inspect", saved)

    assert ran.out.splitlines()[-1] == f"{tensors} tensors in {shards} files"
    assert len(ran.out.splitlines()) == tensors + 1


def test_inspect_of_an_adapter_directory_shows_the_adapter(call, out) -> None:
    shown = json.loads(call("inspect", out / "runs" / "two_everywhere" / "saved", "--json").out)

    assert all("lora_" in key for key in shown["tensors"])
    assert len(shown["tensors"]) == 2 * 2 * (3 + 2), "A and B of two layers in three and two blocks"


@pytest.mark.parametrize("of", ["first", "last"])
def test_inspect_finds_a_cut_shard(of, call, saved) -> None:
    shard = sorted(saved.glob("*.safetensors"))[{"first": 0, "last": -1}[of]]
    shard.write_bytes(shard.read_bytes()[:-1])

    ran = call("inspect", saved)
    assert ran.status == 1
    assert f"  where     {shard}" in ran.out.splitlines()


# -- report --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["results.jsonl", ""], ids=["by file", "by folder"])
def test_report_writes_every_report_again_as_the_run_wrote_it(named, call, out) -> None:
    reports = [out / "report.md", out / "report.html", out / "junit.xml"]
    before = [path.read_bytes() for path in reports]
    for path in reports:
        path.unlink()

    ran = call("report", out / named, "--out", out)

    assert ran.status == 1
    assert ran.out.splitlines()[-1].startswith("1 of ")
    assert [path.read_bytes() for path in reports] == before


def test_the_page_of_a_run_draws_what_its_traces_hold(out) -> None:
    page = (out / "report.html").read_text()

    assert page.count("<figcaption>Loss</figcaption>") == 2
    assert page.count("What was asked to train, and what moved") == 2
    assert "samples per second" in page


def test_report_joins_several_files_of_results(call, out, tmp_path) -> None:
    other = '{"recipe": "other/one", "check": "losses_finite", "status": "passed"}\n'
    (tmp_path / "other.jsonl").write_text(other)

    ran = call("report", out / "results.jsonl", tmp_path / "other.jsonl", "--out", tmp_path)

    assert "of 3 recipes" in ran.out
    assert "other/one" in (tmp_path / "report.md").read_text()
    assert "two/everywhere" in (tmp_path / "report.html").read_text()


def test_the_command_in_the_report_names_the_suite_where_it_is(ran, out) -> None:
    assert "harness run two.yaml --recipe" in (out / "report.md").read_text()
