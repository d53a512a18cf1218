"""Fault by fault, family by family: the first drawn recipe that a fault applies to, and whether it is caught there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

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
        """Fault and family: each fault in one family, then each in another, so that little time goes round them all."""
        names, families = self.faults or tuple(fault.name for fault in FAULTS.values()), self.drawing.families
        turns = range(len(families))
        return [
            (name, families[(turn + place + self.seed) % len(families)])
            for turn in turns
            for place, name in enumerate(names)
        ]


@dataclass(frozen=True)
class Cell:
    """One fault, one family, for a worker process."""

    number: int
    fault: str
    asked: Asked
    family: str
    sockets: Sockets
    out: Path


@dataclass
class Table:
    """What became of each fault in each family; what was not come to is in no row."""

    rows: dict[str, dict[str, str]] = field(default_factory=dict)
    missed: list[Batch] = field(default_factory=list)

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
    asked: Asked, out: Path, more: Callable[[int], bool], seen: Callable[[str, str, str, Batch], None]
) -> Table:
    """Try cell after cell for as long as `more` says so of the next one's number; `seen` is told of each in order."""
    table, cells = Table(), asked.cells
    with workplace(out, asked.drawing) as sockets:
        tasks = _tasks(asked, cells, sockets, out.resolve(), more)
        for worked in in_order(Crew(asked.workers, tried).results(tasks)):
            batch = worked.done
            fault, family = cells[batch.number]
            verdict = NOWHERE if not batch.tried else MISSED if batch.found else CAUGHT
            table.rows.setdefault(fault, {})[family] = verdict
            table.missed += [batch] if batch.found else []
            seen(fault, family, verdict, batch)
    return table


def _tasks(
    asked: Asked, cells: Iterable[tuple[str, str]], sockets: Sockets, out: Path, more: Callable[[int], bool]
) -> Iterator[Cell]:
    for number, (fault, family) in enumerate(cells):
        if not more(number):
            return
        yield Cell(number, fault, asked, family, sockets, out)


def tried(cell: Cell) -> Batch:
    """Try one fault in one family, in a folder of its own; `tried` of the batch is 0 where it applies to nothing."""
    with own_folder(cell.out / f"each-{cell.number}") as place:
        searched = OneFault(cell.sockets, place, cell.out / BASES, fault=cell.fault)
        return one_cell(searched, cell.asked.drawing.of(cell.family), cell.asked.seed, cell.number)


def one_cell(searched: OneFault, drawing: Drawing, seed: int, number: int) -> Batch:
    """Draw until the fault applies, and shrink where it is missed."""
    try:
        batch = batch_of(searched, drawing, APART + seed, number, DRAWN)
    except Enough:
        return Batch(number, 1, None)
    return batch if batch.found else Batch(number, 0, None)
