"""Goldens and stacks in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.drift import PREFIX
from harness.report.html_compat import cell_details, compat_made, compat_verdict
from harness.report.html_goldens import drift_said
from harness.report.markdown_text import code, fenced, folded, plain, table
from harness.report.summary import Counts
from harness.report.text import one_line
from harness.result import Status
from harness.wording import count, joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.compat_table import Cell, CompatTable
    from harness.recipe.covering.coverage import Coverage
    from harness.report.model import RunReport

_LONGEST = 1000  # characters of an error
_MOST_GROUPS = 50  # of directions that fail alike


def coverage_markdown(coverage: Sequence[Coverage]) -> list[str]:
    """A line for each covering matrix, and a row for each rule by which something of it cannot be."""
    if not coverage:
        return []
    said = "\n".join(f"- {code(one.recipe)}: {plain(one.text)}" for one in coverage)
    rows = [[code(one.recipe), plain(rule), str(number)] for one in coverage for rule, number in one.refused]
    found = [folded("What cannot be, by rule", table(["recipe", "refused by", "groups"], rows))] if rows else []
    return ["## Coverage", said, *found]


def goldens_markdown(run: RunReport) -> list[str]:
    """A row for each recipe that was held against a golden."""
    rows = []
    for recipe, results in run.recipes.items():
        counts = Counts.of(one for one in results if one.check.startswith(PREFIX))
        if counts.total:
            ratio = f"{counts[Status.PASSED]}/{counts.judged}"
            rows.append([code(recipe), ratio, plain(drift_said(run.drifts.get(recipe)))])
    return ["## Goldens", table(["recipe", "passed", "the run and its golden"], rows)] if rows else []


def compat_markdown(found: CompatTable | None) -> list[str]:
    """Bad directions in full, those that fail alike together; then a table for each recipe."""
    if found is None:
        return []
    groups = _alike(found.bad)
    bad = [_in_full(cells, details) for details, cells in groups[:_MOST_GROUPS]]
    left = sum(len(cells) for _, cells in groups[_MOST_GROUPS:])
    more = [f"And {count(left, 'direction')} more."] if left else []
    tables = "\n\n".join(f"{code(recipe)}\n\n{_table_of(found, recipe)}" for recipe in found.recipes)
    return [
        "## Saved under one stack, loaded under another",
        plain(f"{compat_verdict(found)} {compat_made(found)}"),
        *bad,
        *more,
        folded(f"{len(found.recipes)} recipes, saved under the row, loaded under the column", tables),
    ]


def _table_of(found: CompatTable, recipe: str) -> str:
    rows = [
        [plain(stack.name), *(f"{cell.outcome.symbol} {cell.outcome.words}" if cell else "not tried" for cell in cells)]
        for stack, cells in found.rows(recipe)
    ]
    return table(["saved \\\\ loaded", *(plain(stack.name) for stack in found.stacks)], rows)


def _alike(cells: Iterable[Cell]) -> list[tuple[str, list[Cell]]]:
    """What is said of cells, and the cells of one recipe and outcome of which all of that is true."""
    groups: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in cells:
        said = "\n".join(f"{name.ljust(16)}  {one_line(text)[:_LONGEST]}" for name, text in cell_details(cell, most=4))
        groups.setdefault((cell.recipe, cell.outcome.words, said), []).append(cell)
    return [(said, held) for (_, _, said), held in groups.items()]


def _in_full(cells: list[Cell], details: str) -> str:
    by_saving: dict[str, list[str]] = {}
    for cell in cells:
        by_saving.setdefault(cell.saved_under, []).append(code(cell.loaded_under))
    ways = "; ".join(f"saved under {code(saved)}, loaded under {joined(to)}" for saved, to in by_saving.items())
    title = f"### {cells[0].outcome.words.upper()} {code(cells[0].recipe)} {ways}"
    return f"{title}\n\n{fenced(details)}" if details else title
