"""Goldens and stacks in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.drift import PREFIX
from harness.report.html_compat import cell_details, compat_verdict
from harness.report.html_goldens import drift_said
from harness.report.markdown_text import code, fenced, folded, plain, table
from harness.report.summary import Counts
from harness.report.text import one_line
from harness.result import Status

if TYPE_CHECKING:
    from harness.compat_table import Cell, CompatTable
    from harness.report.model import RunReport

_MOST_CELLS = 50  # that are told in full


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
    """A table for each recipe, saved under the row and loaded under the column; bad cells in full after them."""
    if found is None:
        return []
    bad = [_cell_in_full(cell) for cell in found.bad[:_MOST_CELLS]]
    more = [f"And {len(found.bad) - _MOST_CELLS} more."] if len(found.bad) > _MOST_CELLS else []
    tables = "\n\n".join(f"{code(recipe)}\n\n{_table_of(found, recipe)}" for recipe in found.recipes)
    return [
        "## Saved under one stack, loaded under another",
        plain(compat_verdict(found)),
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


def _cell_in_full(cell: Cell) -> str:
    where = f"{code(cell.recipe)} saved under {code(cell.saved_under)}, loaded under {code(cell.loaded_under)}"
    lines = [f"{name.ljust(16)}  {one_line(text)}" for name, text in cell_details(cell)]
    return f"### {cell.outcome.words.upper()} {where}" + (f"\n\n{fenced(chr(10).join(lines))}" if lines else "")
