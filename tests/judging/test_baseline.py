"""The baseline: which checks applied to which recipe when it was written, and how they ended."""

from pathlib import Path

import pytest

from harness.refusal import Refused
from harness.result import Result, Status
from harness.verdict import Baseline


def result(status: Status, recipe: str, check: str) -> Result:
    return Result(recipe, check, status, "why")


RESULTS = [
    result(Status.PASSED, "b", "z"),
    result(Status.FAILED, "b", "a"),
    result(Status.NOT_APPLICABLE, "b", "n"),
    result(Status.BLOCKED, "b", "m"),
    result(Status.NOT_COMPARABLE, "b", "k"),
    result(Status.KNOWN_FAILURE, "a", "x"),
    result(Status.WARNED, "a", "w"),
    result(Status.FIXED, "a", "v"),
]


def test_the_baseline_holds_what_applied() -> None:
    assert Baseline.of(RESULTS).applied == {"a": ("v", "w", "x"), "b": ("a", "z")}
    assert list(Baseline.of(RESULTS).applied) == ["a", "b"]


def test_the_baseline_holds_how_each_ended() -> None:
    assert Baseline.of(RESULTS).ended == {
        "a": {"fixed": ("v",), "known_failure": ("x",), "warned": ("w",)},
        "b": {"failed": ("a",), "passed": ("z",)},
    }
    assert {(one.recipe, one.check, one.status) for one in Baseline.of(RESULTS).results} == {
        (one.recipe, one.check, one.status) for one in RESULTS if one.check not in "nmk"
    }


def test_a_baseline_of_the_first_format_knows_what_applied_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text('{"applied": {"b": ["z", "a"], "a": []}}')

    old = Baseline.read(tmp_path / "b.json")
    old.write(tmp_path / "again.json")

    assert old.applied == {"a": (), "b": ("a", "z")}
    assert old.results == ()
    assert old.missing(RESULTS[1:]) == ("b: z",)
    assert Baseline.read(tmp_path / "again.json") == old


def test_a_baseline_of_a_selection_misses_nothing_outside_it() -> None:
    whole = Baseline.of(RESULTS)

    assert whole.of_recipes(["b", "new"]).applied == {"b": ("a", "z")}
    assert whole.of_pairs([("b", "z"), ("a", "gone")]).applied == {"a": (), "b": ("z",)}
    assert whole.of_recipes(["b"]).missing([]) == ("b: a", "b: z")


def test_a_recipe_to_which_nothing_applied_is_in_the_baseline() -> None:
    assert Baseline.of([result(Status.BLOCKED, "r", "c")]).applied == {"r": ()}


def test_the_baseline_survives_the_file(tmp_path: Path) -> None:
    Baseline.of(RESULTS).write(tmp_path / "one.json")
    Baseline.read(tmp_path / "one.json").write(tmp_path / "two.json")

    assert Baseline.read(tmp_path / "one.json") == Baseline.of(RESULTS)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


@pytest.mark.parametrize(
    ("now", "missing"),
    [
        pytest.param(RESULTS, (), id="the same"),
        pytest.param([*RESULTS, result(Status.PASSED, "b", "new")], (), id="more"),
        pytest.param(RESULTS[1:], ("b: z",), id="a check gone"),
        pytest.param([result(Status.NOT_APPLICABLE, "b", "z"), *RESULTS[1:]], ("b: z",), id="no longer applied"),
        pytest.param([result(Status.BLOCKED, "b", "z"), *RESULTS[1:]], ("b: z",), id="blocked"),
        pytest.param(RESULTS[:5], ("a: v", "a: w", "a: x"), id="a recipe gone"),
        pytest.param([], ("a: v", "a: w", "a: x", "b: a", "b: z"), id="nothing"),
    ],
)
def test_fewer_checks_than_before_are_missed(now: list[Result], missing: tuple[str, ...]) -> None:
    assert Baseline.of(RESULTS).missing(now) == missing


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"applied": []}',
        '{"applied": {"a": 3}}',
        '{"applied": {"a": "loads"}}',
        '{"applied": {"a": [3]}}',
        '{"format": 2}',
        '{"format": 3, "recipes": {}}',
        '{"format": 2, "recipes": {"a": ["loads"]}}',
        '{"format": 2, "recipes": {"a": {"passed": "loads"}}}',
        '{"format": 2, "recipes": {"a": {"applied": ["loads"]}}}',
        '{"format": 2, "recipes": {"a": {"blocked": ["loads"]}}}',
        "null",
        "[" * 100_000,
        "\ufffd",
    ],
)
def test_a_file_that_is_no_baseline_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "b.json").write_text(text)

    with pytest.raises(Refused, match=r"b\.json: is not a baseline; write one with --write-baseline"):
        Baseline.read(tmp_path / "b.json")


def test_a_missing_baseline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"none\.json: cannot be read: No such file or directory; write one"):
        Baseline.read(tmp_path / "none.json")


def test_a_binary_file_and_a_folder_are_no_baseline(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(Refused, match=r"b\.json: is not a baseline"):
        Baseline.read(tmp_path / "b.json")
    with pytest.raises(Refused, match="cannot be read: Is a directory"):
        Baseline.read(tmp_path)


def test_a_baseline_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"nowhere.b\.json: cannot be written: No such file"):
        Baseline.of(RESULTS).write(tmp_path / "nowhere" / "b.json")


def test_where_a_baseline_can_be_written_is_said(tmp_path: Path) -> None:
    place = tmp_path / "nowhere" / "b.json"

    with pytest.raises(Refused) as refused:
        Baseline.of(RESULTS).write(place)
    assert str(refused.value).startswith(f"{place}: cannot be written: No such file or directory")
    assert str(refused.value).endswith("; name another file with --write-baseline")


def test_a_baseline_is_text_with_a_line_for_each_check(tmp_path: Path) -> None:
    Baseline.of([result(Status.PASSED, "a", "loads"), result(Status.PASSED, "a", "runs")]).write(tmp_path / "b.json")

    assert (tmp_path / "b.json").read_text().splitlines() == [
        "{",
        ' "format": 2,',
        ' "recipes": {',
        '  "a": {',
        '   "passed": [',
        '    "loads",',
        '    "runs"',
        "   ]",
        "  }",
        " }",
        "}",
    ]


def test_a_baseline_without_some_checks_keeps_the_others() -> None:
    whole = Baseline(
        {"a": {"passed": ("golden.loss",)}, "b": {"failed": ("golden.run", "x"), "passed": ("y",)}, "c": {}}
    )

    assert whole.without("golden.").ended == {"b": {"failed": ("x",), "passed": ("y",)}, "c": {}}
    assert whole.without("x", "golden.r").ended == {"a": {"passed": ("golden.loss",)}, "b": {"passed": ("y",)}, "c": {}}
    assert whole.without() == whole
