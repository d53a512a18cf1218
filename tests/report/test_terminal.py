import re

import pytest

from harness.report import Summary, closing_lines, failure_block, recipe_line
from harness.result import Finding, Reason, Result, Severity, Status


class ProcessorLost(Finding):
    pass


class ParameterMoved(Finding):
    pass


RECIPE = "minicpm-llama3-v-2.5/vision-only[bf16]"
AGAIN = "harness run suites/minicpm_v.yaml --recipe 'vision-only[bf16]' -k processor_reloads"
LOST = ProcessorLost(
    expected="MiniCPMVProcessor",
    seen="MiniCPMVTokenizerFast: AutoProcessor fell back to the tokenizer",
    where="preprocessor_config.json is missing from the saved directory",
    cause="the trainer saved the tokenizer, not the processor",
    do="processor.save_pretrained(dir), or: harness inspect dir --base BASE --repair",
)


def results(recipe: str = RECIPE, **counts: int) -> list[Result]:
    return [
        Result(recipe, f"{status}_{number}", Status(status))
        for status, count in counts.items()
        for number in range(count)
    ]


def test_a_recipe_is_one_line() -> None:
    some = results(not_applicable=1, failed=1, passed=16)

    assert (
        recipe_line("llava-1.5-7b/connector[bf16]", some, 0.3)
        == "llava-1.5-7b/connector[bf16]    18 checks: 16 passed, 1 failed, 1 not applicable    0.3 s"
    )


@pytest.mark.parametrize(
    ("some", "seconds", "line"),
    [
        (results(passed=1), None, "r    1 check: 1 passed"),
        (results(known_failure=2, warned=1), 59.94, "r    3 checks: 1 warned, 2 known failures    59.9 s"),
        (
            results(known_failure=1, blocked=3),
            59.95,
            "r    4 checks: 3 blocked, 1 known failure    1 min 0 s",
        ),
        (results(fixed=1, not_comparable=1), 185, "r    2 checks: 1 fixed, 1 not comparable    3 min 5 s"),
        ([], 2, "r    no checks    2.0 s"),
    ],
)
def test_the_line_of_a_recipe_counts_what_there_is(some: list[Result], seconds: float | None, line: str) -> None:
    assert recipe_line("r", some, seconds) == line


def test_a_failure_says_what_where_why_and_how_to_see_it_again() -> None:
    failed = Result(RECIPE, "processor_reloads", Status.FAILED, findings=(LOST,))

    assert failure_block(failed, AGAIN) == (
        """\
FAILED  processor_reloads
  expected  MiniCPMVProcessor
  seen      MiniCPMVTokenizerFast: AutoProcessor fell back to the tokenizer
  where     preprocessor_config.json is missing from the saved directory
  cause     the trainer saved the tokenizer, not the processor
  do        processor.save_pretrained(dir), or: harness inspect dir --base BASE --repair
  again     harness run suites/minicpm_v.yaml --recipe 'vision-only[bf16]' -k processor_reloads"""
    )


@pytest.mark.parametrize("status", [Status.BLOCKED, Status.FIXED, Status.FAILED])
def test_without_findings_the_reason_is_given(status: Status) -> None:
    block = failure_block(Result("r", "c", status, "the probe was\nnever made"), "harness run x")

    assert block == (
        f"""\
{status.value.upper()}  c
  reason    the probe was
            never made
  again     harness run x"""
    )


def test_with_neither_findings_nor_reason_the_title_is_all() -> None:
    assert failure_block(Result("r", "c", Status.FAILED)) == "FAILED  c"


def test_empty_fields_are_left_out_and_long_ones_aligned() -> None:
    finding = Finding("an end", "Traceback:\n  File\n\n    boom\n", cause="one\rtwo")

    assert failure_block(Result("r", "run.completed", Status.WARNED, "1 finding", (finding,))) == (
        """\
WARNED  run.completed
  expected  an end
  seen      Traceback:
              File

                boom
  cause     one
            two"""
    )


def test_errors_come_first_and_what_exceeds_five_is_counted() -> None:
    moved = tuple(ParameterMoved("same", f"moved {number}") for number in range(6))
    warning = ParameterMoved("same", "a trifle", severity=Severity.WARNING)

    assert failure_block(Result("r", "frozen", Status.FAILED, findings=(warning, *moved)), "harness run x") == (
        """\
FAILED  frozen
  expected  same
  seen      moved 0

  expected  same
  seen      moved 1

  expected  same
  seen      moved 2

  expected  same
  seen      moved 3

  expected  same
  seen      moved 4

  and 2 more of the same kind
  again     harness run x"""
    )


def test_what_is_left_out_is_counted_by_kind() -> None:
    moved = tuple(ParameterMoved("same", f"moved {number}") for number in range(7))
    block = failure_block(Result("r", "c", Status.FAILED, findings=(*moved, LOST, LOST)))

    assert block.splitlines()[-2:] == [
        "  and 2 more of kind ParameterMoved",
        "  and 2 more of kind ProcessorLost",
    ]


def test_quoted_output_cannot_steer_the_terminal() -> None:
    steering = "\x1b[2J\x1b]0;title\x07red \x1b[31malert\x1b[0m\x08\x00 \ud800end"

    assert failure_block(Result("r", "c", Status.FAILED, steering)) == "FAILED  c\n  reason    red alert end"


def test_the_end_counts_everything() -> None:
    some = [*results("a", passed=3, not_applicable=2), *results("b", passed=1, failed=1, blocked=1)]

    assert closing_lines(Summary.of(some, missing=["a: gone"])) == (
        """\
MISSING  a: gone
8 checks of 2 recipes: 4 passed, 1 failed, 1 blocked, 2 not applicable
1 of 6 checks failed and 1 was blocked in 1 of 2 recipes, and 1 check of the baseline is missing."""
    )
    assert closing_lines(Summary.of([])) == "No check was run."


def test_colour_is_used_only_where_asked_for_and_changes_no_text() -> None:
    some = results(passed=1, failed=1, warned=1, not_applicable=1)
    failed = Result("r", "c", Status.FAILED, findings=(LOST,))
    summary = Summary.of(some, missing=["r: gone"])
    pairs = [
        (recipe_line("r", some, 1.0), recipe_line("r", some, 1.0, colour=True)),
        (failure_block(failed, AGAIN), failure_block(failed, AGAIN, colour=True)),
        (closing_lines(summary), closing_lines(summary, colour=True)),
    ]

    for plain, coloured in pairs:
        assert "\x1b" not in plain
        assert "\x1b[" in coloured
        assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == plain


def test_failing_is_red_and_passing_green() -> None:
    assert recipe_line("r", results(passed=1, failed=1), None, colour=True) == (
        "r    2 checks: \x1b[32m1 passed\x1b[0m, \x1b[31m1 failed\x1b[0m"
    )


@pytest.mark.parametrize(
    ("some", "failed", "verdict"),
    [
        ([], True, "No check was run."),
        (results("a", passed=1), False, "1 check of 1 recipe passed."),
        (
            [r for n in range(14) for r in results(f"r{n}", passed=22, not_applicable=3)],
            False,
            "All 308 checks of 14 recipes passed (42 not applicable).",
        ),
        (
            [*results("a", passed=309, failed=2), *results("b", passed=1, not_applicable=1)],
            True,
            "2 of 312 checks failed in 1 of 2 recipes.",
        ),
        (results("a", failed=1), True, "1 of 1 check failed in 1 of 1 recipe."),
        (
            [*results("a", passed=6, failed=1), *results("b", blocked=2), *results("c", fixed=1)],
            True,
            "1 of 10 checks failed, 2 were blocked and 1 passed though known to fail in 3 of 3 recipes.",
        ),
        (results("a", passed=1, blocked=1), True, "1 of 2 checks was blocked in 1 of 1 recipe."),
        (
            results("a", passed=4, warned=1, known_failure=2),
            False,
            "4 of 7 checks of 1 recipe passed and none failed (1 warned, 2 known failures).",
        ),
        (results("a", not_applicable=2), False, "No check of 1 recipe was judged (2 not applicable)."),
    ],
)
def test_one_sentence_is_the_verdict(some: list[Result], failed: bool, verdict: str) -> None:
    summary = Summary.of(some)

    assert (summary.verdict, summary.failed) == (verdict, failed)


def test_a_missing_check_fails_a_run_that_would_pass() -> None:
    summary = Summary.of(results("a", passed=2), missing=["a: one", "a: two"])

    assert summary.failed
    assert summary.verdict == "All 2 checks of 1 recipe passed, but 2 checks of the baseline are missing."


def test_what_does_not_apply_is_counted_and_not_judged() -> None:
    summary = Summary.of([Result("a", "c", Status.NOT_APPLICABLE, Reason.NO_ADAPTER)])

    assert summary.recipes["a"].judged == 0
    assert summary.recipes["a"].text() == "1 not applicable"


def test_of_very_many_missing_checks_the_end_of_a_run_names_some() -> None:
    names = [f"r: check_{number}" for number in range(100)]

    lines = closing_lines(Summary.of(results(passed=1), names)).splitlines()

    assert lines[:2] == ["MISSING  r: check_0", "MISSING  r: check_1"]
    assert "MISSING  and 60 more, in the reports" in lines
    assert len(lines) == 43
    assert "100 checks of the baseline are missing" in lines[-1]
