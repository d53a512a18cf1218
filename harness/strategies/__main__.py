"""`python -m harness.strategies`: draw recipes for so many minutes, train each, and keep the smallest that fails."""

from __future__ import annotations

import shutil
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from harness.session import Sockets, WarmParents
from harness.strategies.properties import Caught, Property, Silent
from harness.strategies.searching import Batch, batch_of
from harness.strategies.shown import as_suite
from harness.strategies.valid import FAMILIES

FOUND = "found.yaml"
_PROPERTIES: dict[str, type[Silent] | type[Caught]] = {"silent": Silent, "caught": Caught}


@dataclass(frozen=True)
class _Task:
    """One batch of one property, for a worker process."""

    which: str
    number: int
    seed: int
    families: tuple[str, ...]
    sockets: Sockets
    out: Path


def _tried(task: _Task) -> Batch:
    place = task.out / f"worker-{task.which}-{task.number}"
    made: Property = _PROPERTIES[task.which](task.sockets, place)
    place.mkdir(parents=True, exist_ok=True)
    try:
        return batch_of(made, task.families, task.seed, task.number)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def main(
    minutes: Annotated[float, typer.Option(help="for how long new batches are begun", min=0)] = 5,
    seed: Annotated[int, typer.Option(help="the same seed draws the same recipes", min=0)] = 0,
    workers: Annotated[int, typer.Option("-n", help="worker processes", min=1)] = 2,
    out: Annotated[Path, typer.Option(help="where runs and what was found go")] = Path("properties-out"),
    family: Annotated[list[str] | None, typer.Option(help="only these families")] = None,
) -> None:
    """Draw recipes that can work, and hold each to what every recipe must do."""
    families = tuple(family or FAMILIES)
    out.mkdir(parents=True, exist_ok=True)
    parents = WarmParents(families)
    started = time.monotonic()
    try:
        done = _search(_Search(minutes, seed, workers, out.resolve(), families), parents.sockets)
    finally:
        parents.stop()
    sys.exit(_told(done, time.monotonic() - started, out))


@dataclass(frozen=True)
class _Search:
    minutes: float
    seed: int
    workers: int
    out: Path
    families: tuple[str, ...]


def _search(asked: _Search, sockets: Sockets) -> dict[str, list[Batch]]:
    """Batches of each property by turns, until time is up."""
    done: dict[str, list[Batch]] = {which: [] for which in _PROPERTIES}
    until, number = time.monotonic() + 60 * asked.minutes, 0
    with ProcessPoolExecutor(asked.workers) as pool:
        under_way: dict[Future[Batch], str] = {}
        while under_way or number == 0 or time.monotonic() < until:
            while len(under_way) < asked.workers and (number == 0 or time.monotonic() < until):
                which = list(_PROPERTIES)[number % len(_PROPERTIES)]
                task = _Task(which, number, asked.seed, asked.families, sockets, asked.out)
                under_way[pool.submit(_tried, task)] = which
                number += 1
            for ended in wait(under_way, return_when=FIRST_COMPLETED).done:
                which = under_way.pop(ended)
                done[which].append(ended.result())
                _say(which, done[which][-1])
    return done


def _say(which: str, batch: Batch) -> None:
    what = f"FOUND  {batch.found.how}" if batch.found else "nothing found"
    print(f"{which} {batch.number}: {batch.tried} tried, {what}", flush=True)


def _told(done: dict[str, list[Batch]], seconds: float, out: Path) -> int:
    """Print what was found with a command that repeats it, and the counts; the exit status."""
    found = [batch.found for batches in done.values() for batch in batches if batch.found]
    names = {f"found-{number}": one for number, one in enumerate(found, start=1)}
    if names:
        path = out / FOUND
        path.write_text(as_suite({name: one.drawn.recipe for name, one in names.items()}), encoding="utf-8")
        for name, one in names.items():
            fault = f" with the fault {one.drawn.fault}" if one.drawn.fault else ""
            print(f"\nFAILED  {one.property}{fault}: {one.how}")
            print(as_suite({name: one.drawn.recipe}).rstrip())
            print(f"again   harness run {path} --recipe {name}")
    tried = sum(batch.tried for batches in done.values() for batch in batches)
    print(f"\n{tried} recipes in {seconds:.0f} s, {60 * tried / seconds:.0f} a minute; {len(found)} broke a property")
    return int(bool(found))


if __name__ == "__main__":
    typer.run(main)
