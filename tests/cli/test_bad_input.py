"""Bad input ends in one line that says what is wrong, where, and what to do; exit status 2; nothing is written."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

GOOD = """
family: llava-1.5-7b
recipes:
  connector: {tune: [connector], steps: 1, save: {what: nothing}}
"""
BAD_SUITES = {
    "not_yaml": ("recipes: [", "is not YAML"),
    "not_a_mapping": ("- connector\n", "the top level is not a mapping"),
    "no_recipes": ("family: llava-1.5-7b\n", "there are no recipes"),
    "unknown_key": (f"{GOOD}recipies: {{}}\n", "unknown key recipies; did you mean recipes?"),
    "unknown_setting": (GOOD.replace("steps", "setps"), "unknown setting setps; did you mean steps?"),
    "unknown_family": (GOOD.replace("llava-1.5-7b", "llava-1.5-7B"), "did you mean llava-1.5-7b?"),
    "impossible": (GOOD.replace("steps: 1", "lora: {components: connector}"), "cannot be fully tuned and carry"),
}


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    return path


@pytest.fixture
def starting_from(suite: Path, checkpoint: Path) -> Path:
    """A suite whose recipe starts from the checkpoint."""
    suite.write_text(GOOD.replace("steps: 1", f"start_from: {checkpoint.name}"))
    return suite


def shard(checkpoint: Path) -> Path:
    return checkpoint / "model.safetensors"


@pytest.mark.parametrize("command", ["run", "plan", "faults"])
@pytest.mark.parametrize("bad", BAD_SUITES)
def test_a_suite_that_cannot_work_is_refused_by_every_command_that_reads_one(bad, command, call, tmp_path) -> None:
    text, said = BAD_SUITES[bad]
    (tmp_path / "bad.yaml").write_text(text)
    out = () if command == "plan" else ("--out", tmp_path / "out")

    line = call(command, tmp_path / "bad.yaml", *out).refusal

    assert said in line
    assert "; " in line, "it says what to do"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["run", "plan", "faults"])
def test_a_suite_that_is_not_there_is_refused(command, call, tmp_path) -> None:
    line = call(command, tmp_path / "nowhere.yaml").refusal

    assert line.startswith(f"{tmp_path / 'nowhere.yaml'}: cannot be read: No such file")


@pytest.mark.parametrize("command", ["run", "faults"])
def test_a_folder_without_suites_is_refused(command, call, tmp_path) -> None:
    (tmp_path / "known_failures.yaml").write_text("[]")

    assert call(command, tmp_path).refusal.startswith(f"{tmp_path}: holds no suite")


def test_one_bad_suite_among_good_ones_is_refused_before_anything_is_trained(call, suite, tmp_path) -> None:
    (tmp_path / "zz.yaml").write_text("recipes: [")

    assert "zz.yaml" in call("run", tmp_path, "--out", tmp_path / "out").refusal
    assert not (tmp_path / "out").exists()


def test_a_recipe_that_is_not_there_is_refused_with_the_nearest_name(call, suite) -> None:
    assert call("run", suite, "--recipe", "conector").refusal.endswith("did you mean connector?")
    assert call("run", suite, "--recipe", "zzz").refusal.endswith("there are connector")


def test_a_keyword_that_matches_nothing_is_refused(run_harness, suite) -> None:
    ran = run_harness("run", suite.name, "-k", "no_such_check", folder=suite.parent)

    assert ran.refusal == "no check matches 'no_such_check'; harness list checks shows them"


def test_a_keyword_that_is_no_expression_is_refused_in_one_line(run_harness, suite) -> None:
    ran = run_harness("run", suite.name, "-k", "and", folder=suite.parent)

    assert "and" in ran.refusal


def test_a_folder_with_a_bracket_in_its_name_is_like_any_other(run_harness, tmp_path) -> None:
    folder = tmp_path / "runs[1]"
    folder.mkdir()
    (folder / "suite.yaml").write_text(GOOD)

    outside = run_harness("run", folder / "suite.yaml", "-k", "no_such_check", folder=tmp_path)
    inside = run_harness("run", "suite.yaml", "-k", "no_such_check", folder=folder)

    assert outside.refusal.startswith("no check matches")
    assert inside.refusal.startswith("no check matches")


def test_an_out_that_is_a_file_is_refused_and_left_alone(call, suite) -> None:
    before = suite.read_bytes()

    assert call("run", suite, "--out", suite).refusal.startswith(f"{suite}: is a file")
    assert suite.read_bytes() == before


def test_an_out_below_a_file_is_refused(call, suite) -> None:
    assert "cannot write" in call("run", suite, "--out", suite / "below").refusal


@pytest.mark.parametrize("command", ["run", "faults"])
def test_an_out_that_holds_somebody_elses_files_is_refused_and_left_alone(command, call, suite, tmp_path) -> None:
    theirs = tmp_path / "theirs"
    (theirs / "runs").mkdir(parents=True)
    (theirs / "runs" / "thesis.txt").write_text("years of work")

    line = call(command, suite, "--out", theirs).refusal

    assert line.startswith(f"{theirs}: holds files that are not the harness's")
    assert [path.relative_to(theirs).as_posix() for path in sorted(theirs.rglob("*"))] == ["runs", "runs/thesis.txt"]
    assert (theirs / "runs" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    "text",
    [None, "{", "[]", '{"applied": 1}', '{"applied": {"a": 1}}', "\udcff"],
    ids=["absent", "not_json", "a_list", "no_recipes", "no_checks", "not_text"],
)
def test_a_baseline_that_cannot_be_read_is_refused(text, call, suite, tmp_path) -> None:
    baseline = tmp_path / "baseline.json"
    if text is not None:
        baseline.write_bytes(text.encode(errors="surrogateescape"))

    line = call("run", suite, "--baseline", baseline, "--out", tmp_path / "out").refusal

    assert line.startswith(str(baseline))
    assert "--write-baseline" in line
    assert not (tmp_path / "out").exists()


def test_a_baseline_that_cannot_be_written_is_refused_before_the_run(call, suite, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("pytest.main", lambda *_, **__: 5)  # nothing is trained here

    line = call("run", suite, "--write-baseline", tmp_path / "nowhere" / "b.json", "--out", tmp_path / "out").refusal

    assert "nowhere" in line


def test_a_start_without_configuration_is_refused(call, starting_from, checkpoint) -> None:
    (checkpoint / "config.json").unlink()

    assert "has no config.json" in call("run", starting_from).refusal


def test_a_start_that_is_not_there_is_refused(call, starting_from, checkpoint) -> None:
    checkpoint.rename(checkpoint.with_name("moved"))

    assert "start_from: no directory" in call("run", starting_from).refusal


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def cut_to_nothing(path: Path) -> None:
    path.write_bytes(b"")


def corrupt(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'{"w"', b"XXXX"))


@pytest.mark.parametrize(
    ("damage", "said"), [(cut_off, "bytes of data"), (cut_to_nothing, "truncated"), (corrupt, "its header is corrupt")]
)
def test_a_start_with_a_damaged_shard_is_refused(damage, said, call, starting_from, checkpoint, tmp_path) -> None:
    damage(shard(checkpoint))

    line = call("run", starting_from, "--out", tmp_path / "out").refusal

    assert "connector: start_from: " in line
    assert "model.safetensors: is damaged" in line
    assert said in line
    assert not (tmp_path / "out").exists()


def test_inspect_reads_a_whole_checkpoint(call, checkpoint) -> None:
    assert call("inspect", checkpoint).status == 0


@pytest.mark.parametrize("damage", [cut_off, cut_to_nothing, corrupt])
def test_inspect_finds_a_damaged_shard(damage, call, checkpoint) -> None:
    damage(shard(checkpoint))

    ran = call("inspect", checkpoint)
    assert ran.status == 1
    assert "seen      is damaged" in ran.out
    assert f"  where     {shard(checkpoint)}" in ran.out.splitlines()


def test_inspect_refuses_a_directory_without_configuration_and_one_that_is_not_there(call, checkpoint) -> None:
    (checkpoint / "config.json").unlink()

    assert "no configuration" in call("inspect", checkpoint).refusal
    assert "no such directory" in call("inspect", checkpoint / "nowhere").refusal


def test_inspect_finds_a_promised_tensor_that_no_shard_holds_and_an_index_that_is_damaged(call, checkpoint) -> None:
    index = checkpoint / "model.safetensors.index.json"

    index.write_text('{"weight_map": {"w": "model.safetensors", "v": "model.safetensors"}}')
    ran = call("inspect", checkpoint)
    assert ran.status == 1
    assert "the index promises v, and no shard holds it" in ran.out
    index.write_text("{")
    ran = call("inspect", checkpoint)
    assert ran.status == 1
    assert f"  where     {index}" in ran.out.splitlines()


@pytest.mark.parametrize(
    "entry",
    ['"data_offsets":[0,16]', '"dtype":"F32","shape":[5],"data_offsets":[0,16]'],
    ids=["without_dtype_and_shape", "of_another_size"],
)
def test_inspect_finds_a_header_that_does_not_describe_its_tensors(entry, call, checkpoint) -> None:
    header = f'{{"w":{{{entry}}}}}'.encode()
    shard(checkpoint).write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))

    ran = call("inspect", checkpoint)
    assert ran.status == 1
    assert "seen      is damaged" in ran.out


def test_plan_refuses_an_unknown_family_and_an_unknown_size(call) -> None:
    assert call("plan", "llava-1.5-7").refusal == "unknown family 'llava-1.5-7'; did you mean llava-1.5-7b?"
    assert call("plan", "llava-1.5-7b", "--size", "huge").refusal == "no size 'huge'; use full or tiny"


def test_tiny_refuses_an_unknown_family(call, tmp_path) -> None:
    assert "unknown family" in call("tiny", "lava", tmp_path / "new").refusal
    assert not (tmp_path / "new").exists()


def test_tiny_refuses_a_folder_with_something_in_it_and_a_file(call, suite) -> None:
    before = sorted(suite.parent.iterdir())

    assert "is not an empty directory" in call("tiny", "llava-1.5-7b", suite.parent).refusal
    assert "is not an empty directory" in call("tiny", "llava-1.5-7b", suite).refusal
    assert sorted(suite.parent.iterdir()) == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "not an object"),
        ('{"recipe": "a/b", "check": "c"}', "status is missing"),
        ('{"recipe": "a/b", "check": "c", "status": "splendid"}', "splendid"),
        ("\udcff", "not JSON"),
    ],
    ids=["not_json", "a_list", "without_status", "unknown_status", "not_text"],
)
def test_report_refuses_a_broken_line_and_writes_nothing(text, said, call, tmp_path) -> None:
    whole = '{"recipe": "a/b", "check": "a", "status": "passed"}\n'
    (tmp_path / "results.jsonl").write_bytes(f"{whole}{text}\n".encode(errors="surrogateescape"))

    line = call("report", tmp_path / "results.jsonl", "--out", tmp_path / "out").refusal

    assert line.startswith(f"{tmp_path / 'results.jsonl'}, line 2: ")
    assert said in line
    assert not (tmp_path / "out").exists()


def test_report_refuses_a_file_that_is_not_there_and_a_folder_without_results(call, tmp_path) -> None:
    assert "No such file" in call("report", tmp_path / "nowhere.jsonl").refusal
    assert call("report", tmp_path).refusal.startswith(f"{tmp_path / 'results.jsonl'}: cannot be read: No such file")


def test_report_of_no_results_at_all_is_refused(call, tmp_path) -> None:
    (tmp_path / "results.jsonl").write_text("")

    line = call("report", tmp_path / "results.jsonl", "--out", tmp_path / "out").refusal

    assert line == f"{tmp_path / 'results.jsonl'}: there are no results; run the suite again"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("damaged", ["runs/a_b/trace/header.json", "run.json"])
@pytest.mark.parametrize("text", ["{", "[]", "\udcff"], ids=["not_json", "a_list", "not_text"])
def test_report_refuses_a_damaged_file_beside_the_results(damaged, text, call, tmp_path) -> None:
    (tmp_path / "results.jsonl").write_text('{"recipe": "a/b", "check": "a", "status": "passed"}\n')
    (tmp_path / "runs" / "a_b" / "trace").mkdir(parents=True)
    (tmp_path / "runs" / "a_b" / "trace" / "header.json").write_text('{"recipe_id": "a/b"}')
    (tmp_path / damaged).write_bytes(text.encode(errors="surrogateescape"))

    line = call("report", tmp_path / "results.jsonl", "--out", tmp_path / "out").refusal

    assert line.startswith(f"{tmp_path / damaged}: is damaged")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("run",),
        ("run", "--frobnicate", "suite.yaml"),
        ("run", "suite.yaml", "-n", "two"),
        ("run", "suite.yaml", "-n", "-1"),
        ("list", "nonsense"),
        ("list",),
        ("schema", "too", "many"),
        ("check",),
        ("inspect", "a", "b"),
        ("tiny", "llava-1.5-7b"),
        ("report",),
        ("--frobnicate",),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_that_says_where_the_usage_is(arguments, call) -> None:
    assert re.search(r"; see harness( \w+)? --help$", call(*arguments).refusal)


def test_a_message_stays_one_line_when_the_path_in_it_does_not(call, tmp_path) -> None:
    odd = tmp_path / "two\nlines.yaml"
    odd.write_text("recipes: [" if os.name != "nt" else "")

    assert "two lines.yaml" in call("run", odd).refusal
