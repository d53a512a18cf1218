"""The table of stacks as the page shows it: by recipe, what was saved under one and loaded under another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.compat_table import Outcome
from harness.report.scale import number
from harness.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.compat_table import Cell, CompatTable, Stack

_NAMES = 20  # keys of one cell that are named; more are counted
STYLES = {
    Outcome.ERROR: "failed",
    Outcome.KEYS_LOST: "failed",
    Outcome.OUTPUTS_DIFFER: "failed",
    Outcome.LOADS: "passed",
    Outcome.NOT_APPLICABLE: "not_applicable",
}


@dataclass(frozen=True)
class CellShown:
    """One cell: a style, a symbol and a word; what else is to be said of it, by name."""

    style: str
    symbol: str
    word: str
    details: list[tuple[str, str]]


@dataclass(frozen=True)
class CompatShown:
    """Verdict, how many directions fail, stacks with their versions, and by recipe a row for each stack that saves."""

    verdict: str
    made: str
    bad: int
    stacks: list[tuple[str, str]]
    legend: list[tuple[str, str, str]]
    recipes: list[tuple[str, bool, str, list[tuple[str, list[CellShown | None]]]]]


def compat_shown(table: CompatTable) -> CompatShown:
    """The whole table."""
    recipes = [
        (
            name,
            any(cell.bad for cell in table.cells if cell.recipe == name),
            _counts(cell for cell in table.cells if cell.recipe == name),
            [(stack.name, [cell_shown(cell) if cell else None for cell in cells]) for stack, cells in table.rows(name)],
        )
        for name in table.recipes
    ]
    return CompatShown(
        verdict=compat_verdict(table),
        made=compat_made(table),
        bad=len(table.bad),
        stacks=[(stack.name, _versions(stack)) for stack in table.stacks],
        legend=[(STYLES[outcome], outcome.symbol, outcome.words) for outcome in table.counts],
        recipes=sorted(recipes, key=lambda recipe: not recipe[1]),
    )


def compat_verdict(table: CompatTable) -> str:
    """How the table came out, in one sentence."""
    tried = [cell for cell in table.cells if cell.outcome is not Outcome.NOT_APPLICABLE]
    where = f"of {count(len(table.recipes), 'recipe')} under {count(len(table.stacks), 'stack')}"
    counts = ", ".join(f"{many} {outcome.words}" for outcome, many in table.counts.items())
    if table.bad:
        return f"{len(table.bad)} of {count(len(tried), 'direction')} {where} fail ({counts})."
    return f"No direction {where} fails ({counts or 'none was tried'})."


def compat_made(table: CompatTable) -> str:
    """When, and by what: the table may be older than the results that it lies beside."""
    return f"Made {table.made} by harness {table.harness}." if table.made else ""


def cell_shown(cell: Cell) -> CellShown:
    style = STYLES[cell.outcome] if cell.bad or STYLES[cell.outcome] != "failed" else cell.status.value
    return CellShown(style, cell.outcome.symbol, cell.outcome.words, list(cell_details(cell)))


def cell_details(cell: Cell, most: int = _NAMES) -> Iterator[tuple[str, str]]:
    """What a cell says beyond its word, by name."""
    if cell.reason:
        yield "reason", cell.reason
    for name in ("missing", "unexpected", "mismatched"):
        if keys := getattr(cell, name):
            more = f" and {len(keys) - most} more" if len(keys) > most else ""
            yield f"{name} keys", f"{len(keys)}: {', '.join(keys[:most])}{more}"
    if gap := cell.largest:
        size = "" if gap.absolute is None else f" by {number(gap.absolute)}"
        of = f" of {gap.where}" if gap.where else ""
        yield "differs", f"{gap.field}{of}{size}: {gap.first} and {gap.second}"
    if len(cell.differing) > 1:
        yield "all fields", ", ".join(cell.differing)
    if cell.error:
        yield "error", cell.error
    if cell.bad and cell.again:
        yield "again", cell.again


def _counts(cells: Iterator[Cell]) -> str:
    found = list(cells)
    return ", ".join(f"{many} {one.words}" for one in Outcome if (many := sum(c.outcome is one for c in found)))


def _versions(stack: Stack) -> str:
    return ", ".join(f"{name} {version}" for name, version in (stack.versions or stack.asked).items())
