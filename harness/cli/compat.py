"""`harness compat`: what one version of the libraries saves, loaded under another."""

from __future__ import annotations

import datetime
import difflib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.shown import AsJson, print_columns, print_json
from harness.refusal import Refused

if TYPE_CHECKING:
    from harness.compat.saving import Wanted
    from harness.compat_table import CompatTable
    from harness.recipe import Suite
    from harness.stacks import AskedStack
    from harness.verdict import KnownFailure

Suites = Annotated[list[Path], typer.Argument(help="suite files, or folders of them", show_default=False)]
StacksFile = Annotated[
    Path | None,
    typer.Option("--stacks", help="the stacks file; none: stacks.yaml beside the suite", show_default=False),
]


def compat(
    suites: Suites,
    stacks: StacksFile = None,
    recipe: Annotated[list[str] | None, typer.Option("--recipe", help="only this recipe, by id")] = None,
    stack: Annotated[list[str] | None, typer.Option("--stack", help="only this stack, by name")] = None,
    workers: Annotated[int, typer.Option("-n", help="stacks at a time", min=1)] = min(os.cpu_count() or 1, 4),
    out: Annotated[Path, typer.Option("--out", help="where runs and compat.json go")] = Path("harness-out"),
    as_json: AsJson = False,
    bisect: Annotated[
        str | None, typer.Option("--bisect", help="instead: the first version that diverges, transformers==4.51..4.57")
    ] = None,
    ask: Annotated[
        list[str] | None, typer.Option("--ask", help="with --bisect: forward, backward or run alone; none: all")
    ] = None,
    beside: Annotated[
        list[str] | None, typer.Option("--with", help="with --bisect: a version beside each, peft==0.15.2")
    ] = None,
) -> int:
    """Save each recipe under each stack of libraries, load each save under all the others, and say what is lost."""
    from harness.cli.suites import suites_at
    from harness.compat.known import marked
    from harness.compat.matrix import Workshop, table_of
    from harness.compat.workplace import Workplace
    from harness.compat_table import COMPAT
    from harness.running.disk import disk_errors
    from harness.running.session import claim_out
    from harness.stacks import Layers

    read = suites_at(suites)
    wanted = _wanted(read, recipe or [])
    file = stacks or read[0].path.with_name("stacks.yaml")
    asked = _chosen(file, stack or [])
    known = _known(read)
    place = claim_out(out, ("stacks",))
    layers = Layers(say=_say)
    workshop = Workshop(Workplace(place, sorted({one.recipe.family for one in wanted})), workers, _say)
    if bisect:
        from harness.cli.bisecting import bisected

        return bisected(bisect, layers, workshop, wanted, asked, beside or [], ask or [], as_json)
    table = table_of(workshop, layers.all(asked, workers), wanted)
    today = datetime.date.today()
    table = table.model_copy(update={"cells": tuple(marked(cell, known, today) for cell in table.cells)})
    with disk_errors(place):
        table.write(place / COMPAT)
    dead = [] if recipe or stack else _dead(read, file, table, known)
    _shown(table, suites, file, out, dead, as_json)
    return int(bool(table.bad or dead))


def _wanted(suites: Sequence[Suite], names: Sequence[str]) -> list[Wanted]:
    """The recipes to save; one that saves nothing is refused."""
    from harness.compat.saving import Wanted

    every = {name for suite in suites for name in suite.recipes}
    for name in names:
        if name not in every:
            raise _no_such("recipe", name, sorted(every))
    found = []
    for suite in suites:
        for name, recipe in suite.recipes.items():
            if names and name not in names:
                continue
            if recipe.saves == "nothing":
                where = f"{suite.path}: {name}"
                raise Refused("saves nothing, and what is saved is to be loaded", where=where, do="leave it out")
            found.append(Wanted(f"{suite.name}/{name}", recipe, suite.path))
    return found


def _chosen(file: Path, names: Sequence[str]) -> list[AskedStack]:
    from harness.stacks import read_stacks

    asked = read_stacks(file)
    for name in names:
        if all(one.name != name for one in asked):
            raise _no_such("stack", name, [one.name for one in asked])
    return [one for one in asked if not names or one.name in names]


def _no_such(kind: str, name: str, known: Sequence[str]) -> Refused:
    close = difflib.get_close_matches(name, known, n=1)
    do = f"did you mean {close[0]}?" if close else f"there are {', '.join(known[:8])}"
    return Refused(f"no {kind} {name!r}", do=do)


def _known(suites: Sequence[Suite]) -> list[KnownFailure]:
    from harness.verdict import KNOWN_FAILURES, read_known_failures

    folders = dict.fromkeys(suite.path.parent for suite in suites)
    return [one for folder in folders for one in read_known_failures(folder / KNOWN_FAILURES)]


def _dead(suites: Sequence[Suite], file: Path, table: CompatTable, known: Sequence[KnownFailure]) -> list[str]:
    """Known failures that match no cell; where other stacks are tried than the suite's own, nobody can tell."""
    from harness.compat.known import CHECKS, place_of
    from harness.running.session import OTHER_STACKS
    from harness.verdict import unused

    if any(suite.path.parent.resolve() != file.parent.resolve() for suite in suites):
        return []
    ours = [one for one in known if one.check.startswith(OTHER_STACKS)]
    pairs = [(place_of(cell), check) for cell in table.cells for check in CHECKS.values()]
    return [f"{one.check} of {one.recipe}" for one in unused(ours, pairs)]


def _shown(
    table: CompatTable, suites: Sequence[Path], file: Path, out: Path, dead: Sequence[str], as_json: bool
) -> None:
    from harness.compat.told import closing_line, command, failure_lines, stack_rows, table_rows

    if as_json:
        return print_json({**table.model_dump(mode="json"), "unused_known_failures": list(dead)})
    print_columns(stack_rows(table))
    for recipe in table.recipes:
        print()
        print_columns(table_rows(table, recipe))
    for recipe in table.recipes:
        again = command(suites, file, recipe.rpartition("/")[2], out)
        cells = tuple(cell for cell in table.cells if cell.recipe == recipe)
        for line in failure_lines(table.model_copy(update={"cells": cells}), again):
            print(line)
    for one in dead:
        print(f"\nFAILED  the known failure {one} matches nothing: take it out")
    print(f"\n{closing_line(table)}")
    return None


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
