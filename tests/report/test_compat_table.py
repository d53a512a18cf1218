"""The table of stacks in the page and in Markdown."""

from __future__ import annotations

from pathlib import Path

from harness.compat_table import COMPAT, Cell, CompatTable, Gap, Outcome, Stack
from harness.report import AboutRun, RunReport, to_html, to_markdown, write_reports
from harness.report.html_compat import cell_shown, compat_shown
from harness.result import Result, Status
from tests.report.test_html import Structure, words

PASSED = (Result("llava/full", "loads", Status.PASSED),)


def cell(saved: str, loaded: str, outcome: Outcome, status: Status, **facts: object) -> Cell:
    return Cell(recipe="llava/full", saved_under=saved, loaded_under=loaded, outcome=outcome, status=status, **facts)  # type: ignore[arg-type]


LOST = cell(
    "new",
    "old",
    Outcome.KEYS_LOST,
    Status.FAILED,
    reason="39 keys are missing",
    missing=tuple(f"vision.{number}" for number in range(39)),
    largest=Gap(field="outputs", where="image", first="0.1", second="0.4", absolute=0.3),
    differing=("loaded weights", "outputs"),
    again="harness compat suites/llava.yaml --recipe full",
)
TABLE = CompatTable(
    stacks=(Stack(name="old", asked={"transformers": "4.57.6"}), Stack(name="new", asked={"transformers": "5.23.0"})),
    recipes=("llava/full", "llava/<b>"),
    cells=(
        cell("old", "old", Outcome.LOADS, Status.PASSED),
        LOST,
        cell("new", "new", Outcome.ERROR, Status.KNOWN_FAILURE, reason="see thread", error="KeyError: <x>"),
    ),
)
RUN = RunReport(PASSED, compat=TABLE)


def test_every_direction_is_in_the_page_by_word_and_symbol() -> None:
    page = to_html(RUN)
    Structure(page)
    said = words(page)

    assert "1 of 3 directions of 2 recipes under 2 stacks fail (1 error, 1 keys lost, 1 loads)." in said
    assert "old = loads not tried new K keys lost reason 39 keys are missing missing keys 39: vision.0" in said
    assert "and 19 more differs outputs of image by 0.3: 0.1 and 0.4 all fields loaded weights, outputs" in said
    assert "again harness compat suites/llava.yaml --recipe full E error reason see thread" in said
    assert "old transformers 4.57.6 new transformers 5.23.0" in said
    assert "KeyError: &lt;x&gt;" in page
    assert "llava/&lt;b&gt;" in page


def test_a_known_failure_looks_like_one_and_a_bad_recipe_is_open() -> None:
    shown = compat_shown(TABLE)

    assert [(name, bad) for name, bad, _, _ in shown.recipes] == [("llava/full", True), ("llava/<b>", False)]
    assert [cell_shown(one).style for one in TABLE.cells] == ["passed", "failed", "known_failure"]
    assert to_html(RUN).partition('id="compat"')[2].count('<details class="recipe" open>') == 1


def test_markdown_has_the_bad_directions_in_full_and_every_table() -> None:
    text = to_markdown(RUN)

    assert "### KEYS LOST `llava/full` saved under `new`, loaded under `old`\n" in text
    assert "missing keys      39: vision.0, vision.1, vision.2, vision.3 and 35 more" in text
    assert "| old | = loads | not tried |" in text
    assert "| new | K keys lost | E error |" in text


def test_the_table_beside_results_comes_into_the_reports(tmp_path: Path) -> None:
    TABLE.write(tmp_path / COMPAT)

    write_reports(tmp_path, PASSED, AboutRun(), [tmp_path])

    assert 'id="compat"' in (tmp_path / "report.html").read_text()
    assert "## Saved under one stack" in (tmp_path / "report.md").read_text()


def test_directions_that_fail_alike_are_told_together() -> None:
    names = ("4.45", "4.52", "5.0", "5.23")
    bad = [
        cell(saved, loaded, Outcome.ERROR, Status.FAILED, error="no such tokenizer")
        for saved in names[2:]
        for loaded in names[:2]
    ]
    stacks = tuple(Stack(name=name, asked={}) for name in names)
    table = CompatTable(stacks=stacks, recipes=("llava/full",), cells=tuple(bad), made="today", harness="1.0")

    text = to_markdown(RunReport(PASSED, compat=table))

    ways = "saved under `5.0`, loaded under `4.45` and `4.52`; saved under `5.23`, loaded under `4.45` and `4.52`"
    assert f"### ERROR `llava/full` {ways}\n" in text
    assert text.count("no such tokenizer") == 1
    assert "4 of 4 directions of 1 recipe under 4 stacks fail (4 error). Made today by harness 1.0." in text
    assert "Stacks (4 fail)" in to_html(RunReport(PASSED, compat=table))
