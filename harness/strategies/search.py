"""A search: batches of each property by turns, in forked workers, until time is up or so many batches are done."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from harness.running.session import Sockets, WarmParents
from harness.strategies.crew import Crew, Worked
from harness.strategies.drawing import Drawing
from harness.strategies.properties import Caught, Property, Refuses, Silent
from harness.strategies.searching import BATCH, SHRINKS, Batch, batch_of

BASES = "bases"
# Which property a batch is of, by its number. What is refused trains nothing: a batch of it costs next to no time.
TURNS = ("silent", "caught", "silent", "caught", "silent", "caught", "silent", "caught", "refused")


@dataclass(frozen=True)
class Asked:
    """What is searched, from which seed, and by how many. What is drawn depends on `seed` and `drawing` alone."""

    drawing: Drawing = field(default_factory=Drawing)
    seed: int = 0
    workers: int = 2
    turns: tuple[str, ...] = TURNS
    examples: int = BATCH
    shrinks: int = SHRINKS  # runs to find a smaller one than the first that breaks a property
    alone: bool = False  # only checks of one run, no partner runs


@dataclass(frozen=True)
class Task:
    """One batch of one property, for a worker process."""

    which: str
    number: int
    asked: Asked
    sockets: Sockets
    out: Path


@dataclass
class Done:
    """What came of a search, batch by batch in their order, and the most memory that the worker of each took."""

    batches: list[tuple[str, Batch]] = field(default_factory=list)
    peaks_mib: list[float] = field(default_factory=list)

    @property
    def peak_mib(self) -> float:
        return max(self.peaks_mib, default=0.0)

    @property
    def tried(self) -> int:
        return sum(batch.tried for _, batch in self.batches)

    def tried_of(self, which: str) -> int:
        return sum(batch.tried for one, batch in self.batches if one == which)


def search(asked: Asked, out: Path, more: Callable[[int], bool], seen: Callable[[str, Batch], None]) -> Done:
    """Begin batches for as long as `more` says so of the next one's number; `seen` is told of each in their order."""
    done = Done()
    with workplace(out, asked.drawing, trains=set(asked.turns) != {"refused"}) as sockets:
        numbers = itertools.takewhile(more, itertools.count())
        tasks = (Task(asked.turns[n % len(asked.turns)], n, asked, sockets, out.resolve()) for n in numbers)
        for worked in in_order(Crew(asked.workers, tried).results(tasks), itertools.count()):
            which = asked.turns[worked.done.number % len(asked.turns)]
            done.batches.append((which, worked.done))
            done.peaks_mib.append(worked.peak_mib)
            seen(which, worked.done)
    return done


@contextlib.contextmanager
def workplace(out: Path, drawing: Drawing, *, trains: bool = True) -> Iterator[Sockets]:
    """Inside, there is what trains the recipes of a search, and no base that an earlier one has left."""
    out.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(out / BASES, ignore_errors=True)
    parents = WarmParents(drawing.families, drawing.engines) if trains else None
    try:
        yield parents.sockets if parents else Sockets()
    finally:
        if parents:
            parents.stop()
        shutil.rmtree(out / BASES, ignore_errors=True)


@contextlib.contextmanager
def own_folder(place: Path) -> Iterator[Path]:
    """A folder that is there inside alone."""
    place.mkdir(parents=True, exist_ok=True)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def in_order(worked: Iterable[Worked[Batch]], numbers: Iterable[int]) -> Iterator[Worked[Batch]]:
    """The same by their numbers in this order, which several workers do not keep to."""
    waiting: dict[int, Worked[Batch]] = {}
    following = iter(numbers)
    number = next(following, None)
    for one in worked:
        waiting[one.done.number] = one
        while number in waiting:
            yield waiting.pop(number)
            number = next(following, None)


def tried(task: Task) -> Batch:
    """Try one batch, in a folder of its own; bases are shared by all."""
    with own_folder(task.out / f"{task.which}-{task.number}") as place:
        searched = property_of(task, place)
        asked = task.asked
        return batch_of(searched, asked.drawing, asked.seed, task.number, asked.examples, asked.shrinks)


def property_of(task: Task, place: Path) -> Property:
    bases = task.out / BASES
    if task.which == "refused":
        return Refuses()
    if task.which == "caught":
        return Caught(task.sockets, place, bases)
    return Silent(task.sockets, place, bases, task.asked.alone)


def until(minutes: float) -> Callable[[int], bool]:
    """Whether there is time for another batch; there is always for the first."""
    end = time.monotonic() + 60 * minutes
    return lambda number: number == 0 or time.monotonic() < end


def so_many(recipes: int, examples: int = BATCH) -> Callable[[int], bool]:
    """Whether so many recipes are not reached yet, by batches without anything to find."""
    return lambda number: number * examples < recipes
