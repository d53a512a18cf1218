"""Fault by fault, family by family: the first drawn recipe that a fault applies to, and whether it is caught there."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.families import family
from harness.faults import FAULTS
from harness.running.session import Sockets
from harness.strategies.crew import Crew
from harness.strategies.drawing import Drawing
from harness.strategies.properties import Caught, Drawn
from harness.strategies.search import BASES, in_order, own_folder, workplace
from harness.strategies.searching import Batch, batch_of

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from harness.recipe import Recipe

DRAWN = 60  # recipes of a family until a fault is said to apply to none: of what applies at all, the most apply to 10
APART = 97  # cells of one seed, each a batch with a number of its own
CAUGHT, MISSED, NOWHERE = "caught", "missed", "-"


class Enough(BaseException):
    """A recipe was found that the fault applies to, and it was caught there: nothing more is drawn.

    Hypothesis takes what is no Exception for none of its business, and hands it on.
    """


@dataclass
class OneFault(Caught):
    """A fault is caught in the first recipe that it applies to; where it is not, in no smaller one."""

    fault: str = ""
    missed: bool = False
    judge: Callable[[Drawn], str] | None = None  # what tells how a fault was missed, if not a run

    def strategy(self, drawing: Drawing) -> SearchStrategy[Drawn]:
        return drawing.recipes().map(self._with_the_fault)

    def _with_the_fault(self, recipe: Recipe) -> Drawn:
        return Drawn(recipe, self.fault if FAULTS[self.fault].fits(recipe) else "")

    def broken_by(self, drawn: Drawn) -> str:
        if not drawn.fault:
            return ""
        how = self.judge(drawn) if self.judge else super().broken_by(drawn)
        self.missed = self.missed or bool(how)
        if not self.missed:
            raise Enough
        return how


@dataclass(frozen=True)
class Asked:
    """What is tried, from which seed, and by how many."""

    drawing: Drawing = field(default_factory=Drawing)
    seed: int = 0
    workers: int = 2
    faults: tuple[str, ...] = ()  # all, unless they are named

    @property
    def cells(self) -> list[tuple[str, str]]:
        """Fault and family: each fault in one family, then each in another, so that little time goes round them all.
        Of each kind of family comes one before any second."""
        names, families = self.faults or tuple(fault.name for fault in FAULTS.values()), self.drawing.families
        first = [(place + self.seed) % len(families) for place in range(len(names))]
        orders = [kinds_first([*families[at:], *families[:at]]) for at in first]
        return [(name, order[turn]) for turn in range(len(families)) for name, order in zip(names, orders, strict=True)]


def kinds_first(families: Sequence[str]) -> list[str]:
    """The families in their order, but for those of a kind that has come already: each kind is a class of its own."""
    met: Counter[type] = Counter()
    turns: list[tuple[int, str]] = []
    for name in families:
        kind = type(family(name))
        turns.append((met[kind], name))
        met[kind] += 1
    return [name for _, name in sorted(turns, key=lambda turn: turn[0])]


@dataclass(frozen=True)
class Cell:
    """One fault, one family, for a worker process."""

    number: int
    which: tuple[str, str]
    asked: Asked
    sockets: Sockets
    out: Path


@dataclass
class Table:
    """What became of each fault in each family; what was not come to is in no row."""

    rows: dict[str, dict[str, str]] = field(default_factory=dict)
    missed: list[Batch] = field(default_factory=list)

    def of(self, fault: str, family: str) -> str:
        return self.rows.get(fault, {}).get(family, "")

    @property
    def counts(self) -> Counter[str]:
        return Counter(one for row in self.rows.values() for one in row.values())

    @property
    def nowhere(self) -> list[str]:
        """The faults that applied to no recipe that was drawn."""
        return [name for name, row in self.rows.items() if set(row.values()) == {NOWHERE}]

    def lines(self, families: Sequence[str]) -> list[str]:
        """Fault by family as Markdown; empty where the time did not come to it."""
        shown = [family for family in families if any(family in row for row in self.rows.values())]
        lines = [f"| fault | {' | '.join(shown)} |", f"|---{'|---' * len(shown)}|"]
        lines += [f"| {name} | {' | '.join(row.get(one, '') for one in shown)} |" for name, row in self.rows.items()]
        return lines


def try_each(
    asked: Asked,
    out: Path,
    more: Callable[[int], bool],
    seen: Callable[[str, str, str, Batch], None],
    table: Table | None = None,
) -> Table:
    """Try cell after cell for as long as `more` says so of how many there were; `seen` is told of each in order. Those
    that a table has already are left out, but for what was missed, and the others put into it."""
    table, cells = table or Table(), asked.cells
    numbers = [at for at, (fault, family) in enumerate(cells) if table.of(fault, family) not in (CAUGHT, NOWHERE)]
    with workplace(out, asked.drawing) as sockets:
        begun = itertools.takewhile(lambda one: more(one[0]), enumerate(numbers))
        tasks = (Cell(number, cells[number], asked, sockets, out.resolve()) for _, number in begun)
        for worked in in_order(Crew(asked.workers, tried).results(tasks), numbers):
            batch = worked.done
            fault, family = cells[batch.number]
            verdict = NOWHERE if not batch.tried else MISSED if batch.found else CAUGHT
            table.rows.setdefault(fault, {})[family] = verdict
            table.missed += [batch] if batch.found else []
            seen(fault, family, verdict, batch)
    return table


def tried(cell: Cell) -> Batch:
    """Try one fault in one family, in a folder of its own; `tried` of the batch is 0 where it applies to nothing."""
    fault, family = cell.which
    with own_folder(cell.out / f"each-{cell.number}") as place:
        searched = OneFault(cell.sockets, place, cell.out / BASES, fault=fault)
        return one_cell(searched, cell.asked.drawing.of(family), cell.asked.seed, cell.number)


def one_cell(searched: OneFault, drawing: Drawing, seed: int, number: int) -> Batch:
    """Draw until the fault applies, and shrink where it is missed."""
    try:
        batch = batch_of(searched, drawing, APART + seed, number, DRAWN)
    except Enough:
        return Batch(number, 1, None)
    return batch if batch.found else Batch(number, 0, None)
