"""A table as text for people."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.compat_table import Cell, CompatTable, Outcome
from harness.result import Status
from harness.wording import count

_SHOWN = 4  # names, before the rest is counted
_SINGULAR = ("chat template", "processor", "loading")
_TITLES = {Status.FAILED: "FAILED", Status.FIXED: "FIXED", Status.KNOWN_FAILURE: "known", Status.NOT_APPLICABLE: "n/a"}


def table_rows(table: CompatTable, recipe: str) -> list[list[str]]:
    """A row per stack that saves, a column per stack that loads."""
    head = [f"{recipe}: saved under", *(f"loaded under {stack.name}" for stack in table.stacks)]
    return [head, *([stack.name, *map(cell_text, cells)] for stack, cells in table.rows(recipe))]


def cell_text(cell: Cell | None) -> str:
    """A symbol and words, so that it reads without colour: `K 39 keys lost`."""
    if cell is None:
        return "  not tried"
    words = cell.outcome.words
    if cell.outcome is Outcome.KEYS_LOST:
        words = f"{_lost(cell)} lost"
    elif cell.outcome is Outcome.OUTPUTS_DIFFER and cell.largest:
        words = f"{cell.largest.field} differ{'s' * (cell.largest.field in _SINGULAR)}{_by(cell)}"
    elif cell.outcome is Outcome.ERROR and (cell.missing or cell.mismatched):
        words = f"error, {_lost(cell)} lost"
    mark = {Status.KNOWN_FAILURE: ", known", Status.FIXED: ", fixed"}.get(cell.status, "")
    return f"{cell.outcome.symbol} {words}{mark}"


def failure_lines(table: CompatTable, again: str) -> Iterator[str]:
    """What is not as it should be, once for each way in which a save fails; `again` is the command without stacks."""
    groups: dict[object, list[Cell]] = {}
    for cell in table.cells:
        if cell.status in _TITLES:
            key = (cell.recipe, cell.saved_under, cell.outcome, cell.status, cell.missing, cell.unexpected, cell.error)
            groups.setdefault(key, []).append(cell)
    for cells in groups.values():
        yield ""
        yield from _group(cells, again)


def closing_line(table: CompatTable) -> str:
    """The counts."""
    words = [f"{number} {outcome.words}" for outcome, number in table.counts.items()]
    known = sum(cell.status is Status.KNOWN_FAILURE for cell in table.cells)
    fixed = sum(cell.status is Status.FIXED for cell in table.cells)
    words += [f"{known} of these known"] if known else []
    words += [f"{fixed} fixed, though listed as known"] if fixed else []
    pairs = f"{count(len(table.recipes), 'recipe')} x {count(len(table.stacks), 'stack')}"
    return f"{pairs}: {', '.join(words) or 'nothing tried'}    {table.seconds:.0f} s"


def stack_rows(table: CompatTable) -> list[list[str]]:
    """The stacks: what was asked for, and what else is in force."""
    rows = [["stack", "asked", "beside it"]]
    for stack in table.stacks:
        beside = {name: version for name, version in stack.versions.items() if name not in stack.asked}
        rows.append([stack.name, *(", ".join(f"{n} {v}" for n, v in some.items()) for some in (stack.asked, beside))])
    return rows


def command(suites: Sequence[Path], stacks: Path, recipe: str, out: Path) -> str:
    """The command that tries one recipe again, without the stacks' names."""
    where = " ".join(shlex.quote(str(suite)) for suite in suites)
    beside = (suite if suite.is_dir() else suite.parent for suite in suites)
    named = "" if all(stacks.parent == folder for folder in beside) else f" --stacks {shlex.quote(str(stacks))}"
    place = "" if out == Path("harness-out") else f" --out {shlex.quote(str(out))}"
    return f"harness compat {where}{named} --recipe {shlex.quote(recipe)}{place}"


def _group(cells: Sequence[Cell], again: str) -> Iterator[str]:
    cell = cells[0]
    under = ", ".join(one.loaded_under for one in cells)
    yield f"{_TITLES[cell.status]}  {cell.recipe} saved under {cell.saved_under}, loaded under {under}"
    if cell.outcome is not Outcome.NOT_APPLICABLE:
        yield _titled("outcome", cell.outcome.words)
    for name, keys in (("missing", cell.missing), ("unexpected", cell.unexpected), ("mismatched", cell.mismatched)):
        if keys:
            yield _titled(name, f"{len(keys)}: {_some(keys)}")
    if cell.largest and cell.outcome is not Outcome.LOADS:
        gap = cell.largest
        at = f" at {gap.where}" if gap.where else ""
        yield _titled("differs", f"{gap.field}{at}: {gap.first} and {gap.second}{_by(cell, 'off')}")
    if cell.differing:
        yield _titled("in all", ", ".join(cell.differing))
    if cell.error:
        yield _titled("error", cell.error)
    if cell.reason:
        yield _titled("because", cell.reason)
    if cell.bad:
        stacks = dict.fromkeys([cell.saved_under, cell.loaded_under])
        yield _titled("again", cell.again or f"{again}{''.join(f' --stack {name}' for name in stacks)}")


def _lost(cell: Cell) -> str:
    number = len({*cell.missing, *cell.mismatched}) or len(cell.unexpected)
    kind = "key" if cell.missing or cell.mismatched or not cell.unexpected else "unknown key"
    return count(number, kind) if number else f"some {kind}s"


def _by(cell: Cell, word: str = "by") -> str:
    size = cell.largest.absolute if cell.largest else None
    return "" if size is None else f"{',' if word == 'off' else ''} {'off by' if word == 'off' else word} {size:.2g}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _titled(title: str, text: str) -> str:
    return f"  {title.ljust(10)} {text}"
