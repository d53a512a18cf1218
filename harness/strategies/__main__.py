"""`python -m harness.strategies`: draw recipes for so many minutes, train each, and keep the smallest that fails."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from harness.faults import FAULTS
from harness.recipe import read_suite
from harness.refusal import Refused
from harness.strategies import found as finding
from harness.strategies import record
from harness.strategies.crew import WorkerLost
from harness.strategies.drawing import Drawing
from harness.strategies.each import Asked as Each
from harness.strategies.each import try_each
from harness.strategies.families import facts_of
from harness.strategies.screen import Screen, cell_told, clock, summary, table_summary
from harness.strategies.search import TURNS, Asked, search, so_many, until
from harness.strategies.searching import Found
from harness.strategies.valid import ALONE, FAMILIES

TABLE = "faults.md"
WRONG_USAGE, BROKEN, INTERRUPTED = 2, 3, 130
Families = Annotated[list[str] | None, typer.Option(help="only these families")]


def main(
    minutes: Annotated[float, typer.Option(help="for how long new batches are begun", min=0)] = 5,
    recipes: Annotated[int, typer.Option(help="so many recipes instead, however long they take", min=0)] = 0,
    seed: Annotated[int, typer.Option(help="the same seed draws the same recipes", min=0)] = 0,
    workers: Annotated[int, typer.Option("-n", help="worker processes", min=1)] = 2,
    out: Annotated[Path, typer.Option(help="where runs and what was found go")] = Path("properties-out"),
    family: Families = None,
    engine: Annotated[list[str] | None, typer.Option(help="only these engines; torch, unless named")] = None,
    processes: Annotated[list[int] | None, typer.Option(help="in so many processes; 1, unless named")] = None,
    launch: Annotated[list[str] | None, typer.Option(help="several are started so; fork, unless named")] = None,
    only: Annotated[list[str] | None, typer.Option(help="only silent, caught or refused")] = None,
    alone: Annotated[
        bool, typer.Option("--alone", help="only checks of one run: no partner runs, no interruption")
    ] = False,
    faults_each: Annotated[
        bool, typer.Option("--faults-each", help="try each fault in the first recipe of each family that it applies to")
    ] = False,
    fault: Annotated[list[str] | None, typer.Option(help="only these faults; implies --faults-each")] = None,
    go_on: Annotated[
        bool, typer.Option("--go-on", help="go on with the faults where an earlier search into --out has ended")
    ] = False,
    keep: Annotated[
        Path | None, typer.Option(help="add what was found to suites/found.yaml, and search nothing")
    ] = None,
) -> None:
    """Draw recipes, and hold each to what every recipe must do: train without a finding, be caught with a fault in it,
    be refused where it cannot work. The same seed draws the same ones, whatever the number of workers."""
    try:
        if keep:
            sys.exit(_kept(keep))
        asked = tuple(family or FAMILIES), tuple(engine or ("torch",)), tuple(processes or (1,)), tuple(launch or ALONE)
        drawing = Drawing(*asked, interrupted=not alone)
        if faults_each or fault:
            sys.exit(_each(Each(drawing, seed, workers, tuple(fault or ())), out, minutes, recipes, go_on=go_on))
        turns = tuple(one for one in TURNS if one in (only or TURNS))
        if not turns:
            raise Refused(f"--only {' '.join(only or ())} is no property", do="use silent, caught or refused")
        sys.exit(_searched(Asked(drawing, seed, workers, turns, alone=alone), out, minutes, recipes))
    except Refused as refused:
        print(f"harness: {refused}", file=sys.stderr)
        sys.exit(WRONG_USAGE)
    except WorkerLost as lost:
        print(f"harness: {lost}", file=sys.stderr)
        sys.exit(BROKEN)
    except KeyboardInterrupt:
        print("harness: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _searched(asked: Asked, out: Path, minutes: float, recipes: int) -> int:
    """Search, and say what was found; the exit status. A family that there is not is refused before."""
    for name in asked.drawing.families:
        facts_of(name)
    screen = Screen(None if recipes else minutes)
    done = search(asked, out, so_many(recipes) if recipes else until(minutes), screen.batch)
    screen.end()
    record.keep_counts(asked, done, out)
    found = _shown((batch.found for _, batch in done.batches if batch.found), out)
    print(f"\n{summary(done, len(found), time.monotonic() - screen.started)}")
    return int(bool(found))


def _shown(all_found: Iterable[Found], out: Path) -> dict[str, Found]:
    """Print what was found, each once, and write it as a suite."""
    found = finding.named(all_found)
    file = out / finding.FILE
    file.unlink(missing_ok=True)
    written = finding.write(found, file)
    for name, one in found.items():
        print("", *finding.told(name, one, file), sep="\n")
    if written:
        print(f"\nkeep    python -m harness.strategies --keep {file}")
    return found


def _each(asked: Each, out: Path, minutes: float, cells: int, *, go_on: bool) -> int:
    """Try fault by fault, and write the table of what became of them; the exit status. What there is not is refused."""
    for name in asked.drawing.families:
        facts_of(name)
    for name in asked.faults:
        FAULTS[name]
    started = time.monotonic()
    known = record.table_of(asked, out) if go_on else None
    table = try_each(asked, out, so_many(cells, 1) if cells else until(minutes), cell_told, known)
    record.keep_table(asked, table, out)
    found = _shown((batch.found for batch in table.missed if batch.found), out)
    file = out / TABLE
    file.write_text("\n".join([*table.lines(asked.drawing.families), ""]), encoding="utf-8")
    print(f"\n{table_summary(table, len(asked.cells))}, in {clock(time.monotonic() - started)}; see {file}")
    return int(bool(found))


def _kept(file: Path) -> int:
    added = finding.keep(file)
    suite = read_suite(finding.KEPT)
    print(
        f"{len(added)} added to {suite.path}, which has {len(suite.recipes)}: harness run {suite.path.parent} runs them"
    )
    return 0


if __name__ == "__main__":
    typer.run(main)
