"""What a run comes to: a broken version must be caught by a check of its kind, a good one is right in silence alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.result import Finding, Result, Status
from library_bugs.asked import Bug
from library_bugs.observing import judged
from library_bugs.table import as_it_should_be, as_markdown, keep, read_table

BUG = Bug.model_validate(
    {
        "about": "means of means",
        "threads": ["https://github.com/owner/library/issues/12"],
        "silent": "everywhere",
        "recipe": "suite.yaml::name",
        "caught_by": ["adapter_merges"],
        "broken": [{"library": "1.0"}],
        "good": [{"library": "1.1"}],
    }
)
FOUND = Finding(expected="1", seen="2 |\n of them", where="there")
PASSED, IDLE = Result("r", "losses_finite", Status.PASSED), Result("r", "pixels_matter", Status.NOT_APPLICABLE, "no")
CAUGHT = Result("r", "adapter_merges", Status.FAILED, "1 finding", (FOUND,))
OTHER = Result("r", "losses_finite", Status.FAILED, "1 finding", (FOUND,))
BLOCKED = Result("r", "labels_present", Status.BLOCKED, "no forward")


@pytest.mark.parametrize(
    ("results", "said", "right_where_broken", "right_where_good"),
    [
        ([PASSED, CAUGHT, IDLE], "caught: adapter_merges", True, False),
        ([PASSED, OTHER], "otherwise: losses_finite", False, False),
        ([PASSED, BLOCKED], "otherwise: labels_present", False, False),
        ([PASSED, IDLE], "silent", False, True),
        ([], "not observed", False, False),
    ],
)
def test_a_run_is_right_or_wrong(
    results: list[Result], said: str, right_where_broken: bool, right_where_good: bool
) -> None:
    broken, good = (judged(BUG, {"library": "1"}, has_it, None, results) for has_it in (True, False))

    assert broken.verdict == good.verdict == said
    assert (broken.right, good.right) == (right_where_broken, right_where_good)
    assert broken.applied == sum(one is not IDLE for one in results)


def test_rows_take_the_place_of_their_own_and_are_shown_by_version(tmp_path: Path) -> None:
    path, order = tmp_path / "new" / "bugs.json", ["second", "first"]
    runs = [judged(BUG, {"library": "1.0"}, True, None, [CAUGHT]), judged(BUG, {"library": "1.1"}, False, None, [])]

    keep(path, {"first": {"runs": []}}, {}, order)
    keep(path, {"second": {"runs": [one.to_json() for one in runs]}}, {}, order)

    rows = read_table(path)["bugs"]
    assert list(rows) == order
    assert json.loads(path.read_text())["machine"] == {}
    assert list(as_markdown({"first": BUG, "second": BUG}, rows))[2:] == [
        "| `second`: means of means, [library #12](https://github.com/owner/library/issues/12) | library 1.0 "
        "| yes | caught: adapter_merges (2 \\| of them); 1 checks |",
        "|  | library 1.1 | no | not observed; 0 checks |",
    ]


def test_seeds_are_counted_by_what_was_said() -> None:
    runs = [judged(BUG, {"library": "1.0"}, True, seed, [CAUGHT if seed else PASSED]) for seed in range(3)]
    (row,) = list(as_markdown({"first": BUG}, {"first": {"runs": [one.to_json() for one in runs]}}))[2:]

    assert row.endswith("| yes | silent under hash seed 0; caught: adapter_merges under hash seed 1, 2 |")


@pytest.mark.parametrize(
    ("results", "right"),
    [([PASSED, CAUGHT], True), ([PASSED, PASSED], False), ([OTHER, CAUGHT], False)],
    ids=["caught under one seed", "under none", "and found otherwise under another"],
)
def test_a_bug_that_depends_on_the_seed_is_caught_under_one_at_least(results: list[Result], right: bool) -> None:
    runs = [judged(BUG, {"library": "1.0"}, True, seed, [one]).to_json() for seed, one in enumerate(results)]

    assert as_it_should_be(runs) == right


@pytest.mark.parametrize(("word", "said"), [("of them", "caught"), ("KeyError", "otherwise")])
def test_another_error_is_not_taken_for_the_bug(word: str, said: str) -> None:
    bug = BUG.model_copy(update={"saying": word})

    assert judged(bug, {"library": "1.0"}, True, None, [CAUGHT]).verdict == f"{said}: adapter_merges"


def test_of_what_has_no_findings_the_reason_is_shown() -> None:
    lost = Result("r", "adapter_merges", Status.FAILED, "2 keys lost")
    verdict = judged(BUG, {"library": "1.0"}, True, None, [lost])

    assert (verdict.verdict, verdict.seen) == ("caught: adapter_merges", "2 keys lost")
