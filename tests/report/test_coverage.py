"""What a covering suite covers is said in every report, and no more than was run."""

from pathlib import Path

import pytest

from harness.recipe.covering.coverage import Coverage
from harness.report import AboutRun, RunReport, closing_lines, to_html, to_markdown
from harness.report.files import report_of
from harness.result import Result, Status

WHOLE = Coverage(
    recipe="m/all",
    ways=2,
    axes=12,
    covered=1200,
    possible=1200,
    run=66,
    recipes=66,
    product=10_368_000,
    impossible={"one_adapter": 3, "family f": 20, "a and b": 3},
)
PART = WHOLE.model_copy(update={"recipe": "n/<all>", "ways": 3, "covered": 120, "run": 5, "impossible": {}})
RESULTS = (Result("m/all", "loads", Status.PASSED),)
RUN = RunReport(RESULTS, coverage=(WHOLE, PART))
SAID = "all 1,200 pairs of 12 settings in 66 recipes of 10,368,000; 26 pairs cannot be"
IN_PART = "120 of 1,200 groups of 3 values of 12 settings in 5 of 66 recipes of 10,368,000"


def test_the_terminal_says_what_is_covered_and_what_cannot_be() -> None:
    lines = closing_lines(RUN.summary).splitlines()

    assert lines[:5] == [
        f"COVERED  m/all: {SAID}",
        "            20 by family f",
        "             3 by a and b",
        "             3 by one_adapter",
        f"COVERED  n/<all>: {IN_PART}",
    ]
    assert lines[5].startswith("1 check of 1 recipe")


@pytest.mark.parametrize(("covered", "code"), [(WHOLE, "32"), (PART, "33")])
def test_what_is_not_the_whole_has_another_colour(covered: Coverage, code: str) -> None:
    run = RunReport(RESULTS, coverage=(covered,))

    assert closing_lines(run.summary, colour=True).startswith(f"\x1b[{code}mCOVERED\x1b[0m")


def test_markdown_has_a_section_for_it() -> None:
    section = to_markdown(RUN).partition("## Coverage\n")[2].partition("\n## ")[0]

    assert f"- `m/all`: {SAID}\n- `n/<all>`: {IN_PART}\n" in section
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == ["| `m/all` | family f | 20 |", "| `m/all` | a and b | 3 |", "| `m/all` | one_adapter | 3 |"]


def test_the_page_has_a_section_for_it() -> None:
    page = to_html(RUN)
    section = page.partition('<section id="coverage"')[2].partition("</section>")[0]

    assert '<a href="#coverage">Coverage</a>' in page
    assert f"<code>m/all</code>: {SAID}" in section
    assert f"<code>n/&lt;all&gt;</code>: {IN_PART}" in section
    assert section.index("family f") < section.index("a and b") < section.index("one_adapter")


def test_where_nothing_covers_a_matrix_nothing_is_said() -> None:
    run = RunReport(RESULTS)

    assert "COVERED" not in closing_lines(run.summary)
    assert "Coverage" not in to_markdown(run)
    assert 'id="coverage"' not in to_html(run)


def test_it_is_kept_beside_the_results_and_read_again(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, covered in zip(folders, (WHOLE, PART), strict=True):
        folder.mkdir()
        AboutRun(coverage=(covered,)).write(folder)

    about = AboutRun.of(folders)

    assert about.coverage == (WHOLE, PART)
    assert report_of(RESULTS, about, folders).summary.coverage == (WHOLE, PART)
