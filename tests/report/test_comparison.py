"""A run held against its baseline: one sentence, before and after, newly failing, fixed, vanished."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.report import AboutRun, RunReport, write_reports
from harness.report.comparison import Comparison, compare
from harness.report.markdown import comparison_markdown
from harness.result import Result, Status
from harness.verdict import Baseline


def results(**statuses: Status) -> tuple[Result, ...]:
    return tuple(Result("s/r", check, status, "why") for check, status in statuses.items())


BEFORE = results(a=Status.PASSED, b=Status.FAILED, c=Status.WARNED, d=Status.FIXED, e=Status.PASSED)


@pytest.mark.parametrize(
    ("after", "sentence"),
    [
        (BEFORE, "This run is no worse than the baseline."),
        ((*BEFORE, *results(new=Status.PASSED)), "This run is no worse than the baseline."),
        (
            results(a=Status.PASSED, b=Status.PASSED, c=Status.WARNED, d=Status.PASSED, e=Status.PASSED),
            "This run is better than the baseline: 2 checks fixed.",
        ),
        (
            results(a=Status.FAILED, b=Status.WARNED, c=Status.PASSED, d=Status.FIXED),
            "This run is worse than the baseline: 1 check newly failing, 1 check vanished and 1 check fixed.",
        ),
        ((), "This run is worse than the baseline: 5 checks vanished."),
    ],
    ids=["the same", "one more", "fixed", "all three", "nothing"],
)
def test_the_verdict_is_one_sentence(after: tuple[Result, ...], sentence: str) -> None:
    assert compare(BEFORE, after, ()).verdict == sentence


def test_each_list_holds_its_own_and_no_other() -> None:
    after = results(a=Status.FAILED, b=Status.PASSED, c=Status.BLOCKED, d=Status.KNOWN_FAILURE)

    found = compare(BEFORE, after, Baseline.of(BEFORE).missing(after))

    assert found.newly_failing == ("s/r: a", "s/r: c")
    assert found.fixed == ("s/r: b",), "a known failure is not fixed"
    assert found.vanished == ("s/r: c", "s/r: e"), "what is blocked was not judged"
    assert [(one.before, one.after) for one in found.recipes] == [("2/5", "1/4")]


def test_a_comparison_with_a_part_of_the_baseline_says_so() -> None:
    assert Comparison((), (), (), only="the quick gate").verdict == (
        "This run is no worse than the baseline, of which only the quick gate was compared."
    )


def test_the_summary_is_the_comparison_alone() -> None:
    after = results(a=Status.FAILED, b=Status.PASSED, c=Status.WARNED, d=Status.FIXED)

    assert comparison_markdown(RunReport(after, baseline=BEFORE, missing=("s/r: e",))) == (
        """\
# Fine-tuning regression report

**1 of 4 checks failed and 1 passed though known to fail in 1 of 1 recipe, and 1 check of the baseline is missing.**

## Compared with the baseline

This run is worse than the baseline: 1 check newly failing, 1 check vanished and 1 check fixed.

| recipe | before | after |
| --- | --: | --: |
| all | 2/5 | 1/4 |
| `s/r` | 2/5 | 1/4 |

### Newly failing

- `s/r: a`

### Fixed: failed in the baseline, not in this run

- `s/r: b`

### Vanished: judged in the baseline, not in this run

- `s/r: e`
"""
    )


def test_it_is_written_where_there_was_a_baseline_and_again_from_what_lies_there(tmp_path: Path) -> None:
    compared = AboutRun(before=Baseline.of(BEFORE).ended, only="the quick gate", quick="1 of 2 recipes")

    write_reports(tmp_path, BEFORE, AboutRun(), [])
    assert not (tmp_path / "comparison.md").exists()
    write_reports(tmp_path, BEFORE, compared, [])
    first = (tmp_path / "comparison.md").read_text()
    compared.write(tmp_path)
    write_reports(tmp_path, BEFORE, AboutRun.of([tmp_path]), [])

    assert "no worse than the baseline, of which only the quick gate was compared." in first
    assert "Quick gate, 1 of 2 recipes. " in first
    assert (tmp_path / "comparison.md").read_text() == first
