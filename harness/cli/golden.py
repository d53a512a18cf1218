"""`harness golden`: pin what recipes do and save, and hold it against today's."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.shown import AsJson, print_columns, print_json
from harness.refusal import Refused

if TYPE_CHECKING:
    from harness.golden.pinning import Wanted
    from harness.running.runner import Runner

app = typer.Typer(help="Pin what recipes do and save, and hold it against today's code and libraries.")
Golden = Annotated[Path, typer.Option("--golden", help="the folder of the goldens")]
FOLDER = Path("golden")


@app.command("pin")
def pin(
    suites: Annotated[
        list[Path] | None, typer.Argument(help="suite files; none: all that is pinned, again", show_default=False)
    ] = None,
    recipe: Annotated[list[str] | None, typer.Option("--recipe", help="only this recipe, by id")] = None,
    golden: Golden = FOLDER,
    dirty: Annotated[bool, typer.Option("--dirty", help="even where the suite's tree is not as committed")] = False,
    as_json: AsJson = False,
) -> int:
    """Make the recipes' runs, and keep their traces and what they saved as goldens: all of them, or none."""
    from harness.golden.index import change
    from harness.golden.pinning import made, refuse_unpinnable
    from harness.golden.stacks import in_force
    from harness.golden.told import report_line

    wanted, gone = _wanted(suites or [], recipe or [], golden)
    refuse_unpinnable(wanted, golden, dirty)
    with _runner([one.recipe.family for one in wanted], None) as runner:
        pinned, failed = {}, {}
        for one in made(runner, wanted, golden):
            if one.pinned is None:
                failed[one.recipe_id] = one.reason
                _say(f"FAILED  {one.recipe_id}: {one.reason}", as_json)
            else:
                pinned[one.recipe_id] = one.pinned
                _say(f"{one.recipe_id}    made, {one.pinned.entry.bytes / 1e6:.1f} MB", as_json)
    if failed:
        _say("\nNothing was pinned: a golden is of a run that ends well.", as_json)
    else:
        after = change(golden, pinned, gone, in_force(golden))
        for name in gone:
            _say(f"{name}    dropped, for its recipe is gone", as_json)
        _say(f"\n{report_line(after.values(), (), ())}", as_json)
    if as_json:
        records = {name: one.entry.model_dump() for name, one in pinned.items()}
        print_json({"pinned": {} if failed else records, "failed": failed, "dropped": [] if failed else gone})
    return int(bool(failed))


@app.command("verify")
def verify(
    recipe: Annotated[list[str] | None, typer.Option("--recipe", help="only this golden, as report names it")] = None,
    golden: Golden = FOLDER,
    out: Annotated[Path | None, typer.Option("--out", help="keep the traces of then and now here")] = None,
    as_json: AsJson = False,
) -> int:
    """Make the runs again, load the old checkpoints again, and say what is not as it was, and who may be the cause."""
    from harness.golden.asking import asked_of
    from harness.golden.stacks import left_behind, shelves
    from harness.golden.told import as_data, closing_line, failure_lines, verdict_line, verify_again
    from harness.golden.verifying import Status, verified, wrong_files

    there = shelves(golden)
    wanted = asked_of(there, recipe or [])
    width = max((len(one.name) for one in wanted), default=0)
    verdicts = [] if recipe else wrong_files(there)
    with _runner([one.recipe.family for one in wanted if one.recipe], out) as runner:
        started = time.perf_counter()
        for one in wanted:
            verdicts.append(verified(runner, one))
            _say(verdict_line(verdicts[-1], width), as_json)
        seconds = time.perf_counter() - started
    if as_json:
        print_json([as_data(one) for one in verdicts])
    for found in verdicts:
        if lines := failure_lines(found, verify_again(found.recipe_id, golden)):
            _say("\n" + "\n".join(lines), as_json)
    for name in left_behind(there):
        _say(f"\n{name} is left by a pin that was interrupted: the next one takes it away", as_json)
    _say(f"\n{closing_line(verdicts, seconds)}", as_json)
    return int(any(found.status is not Status.HOLDS for found in verdicts))


@app.command("report")
def report(golden: Golden = FOLDER, as_json: AsJson = False) -> int:
    """Which goldens there are, where they come from, how large they are, and whether their files are whole."""
    from harness.golden.stacks import left_behind, shelves, unknown_in
    from harness.golden.told import report_line, report_rows, state_of

    there = shelves(golden)
    unknown, left = unknown_in(there), left_behind(there)
    states = {(one.stack, name): state_of(one.folder, entry) for one in there for name, entry in one.goldens.items()}
    if as_json:
        records = [
            {"recipe": name, "stack": one.stack or None, **entry.model_dump(), "state": states[one.stack, name]}
            for one in there
            for name, entry in one.goldens.items()
        ]
        print_json({"goldens": records, "unused": unknown, "left": left})
    else:
        print_columns(report_rows(there))
        print(f"\n{report_line([entry for one in there for entry in one.goldens.values()], unknown, left)}")
    return int(bool(unknown) or any(state != "whole" for state in states.values()))


def _say(text: str, as_json: bool) -> None:
    if text and not as_json:
        print(text, flush=True)


def _wanted(suites: list[Path], recipes: list[str], golden: Path) -> tuple[list[Wanted], list[str]]:
    """What to pin, and which goldens' recipes are gone; without suites, all that is pinned or the named ones of it."""
    from harness.cli.suites import suites_at
    from harness.golden.asking import asked, chosen, no_such
    from harness.golden.index import has_goldens, read_index
    from harness.golden.pinning import Wanted

    if not suites:
        again = asked(chosen(read_index(golden), recipes), golden)
        gone = [one.recipe_id for one in again if one.recipe is None]
        return [Wanted(one.recipe_id, one.recipe, one.suite) for one in again if one.recipe], gone
    read = suites_at(suites)
    known = read_index(golden) if has_goldens(golden) else {}
    found = {
        f"{suite.name}/{name}": Wanted(f"{suite.name}/{name}", recipe, suite.path)
        for suite in read
        for name, recipe in suite.recipes.items()
        if not recipes or name in recipes
    }
    if unknown := [name for name in recipes if all(name not in suite.recipes for suite in read)]:
        raise no_such(unknown[0], [name for suite in read for name in suite.recipes], ", ".join(map(str, suites)))
    for name, one in found.items():
        if name in known and (golden / known[name].suite).resolve() != one.suite.resolve():
            where = f"{one.suite}: {name}"
            raise Refused(
                f"a golden of this name is of {known[name].suite}", where=where, do="rename one of the suites"
            )
    return list(found.values()), []


@contextlib.contextmanager
def _runner(families: list[str], out: Path | None) -> Iterator[Runner]:
    """Somebody who makes runs, in a folder of the user's or one that is gone afterwards."""
    from harness.golden.runs import wait_for_imports
    from harness.running.session import Session, WarmParents, prepare_out

    with contextlib.ExitStack() as stack:
        place = out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="harness-golden-"))) / "out"
        place = prepare_out(place)
        for folder in ("pinned", "now"):
            shutil.rmtree(place / folder, ignore_errors=True)
        parents = WarmParents(sorted(set(families)))
        stack.callback(parents.stop)
        runner = Session(parents.sockets, place).runner
        wait_for_imports(runner)
        yield runner
