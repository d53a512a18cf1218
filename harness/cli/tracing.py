"""`harness trace`: any training command as it is, recorded and judged."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.shown import colour
from harness.places import RELOAD
from harness.refusal import Refused

if TYPE_CHECKING:
    from harness.face import Results
    from harness.intents import Promise
    from harness.result import Result
    from harness.trace.reader import Trace
    from harness.tracing import Ended, Traced

RESULTS = "results.jsonl"
UNOBSERVED = 1


class Reload(str, Enum):
    auto = "auto"
    never = "never"


def trace(
    command: Annotated[list[str], typer.Argument(help="-- and the command, as in a shell", show_default=False)],
    intent: Annotated[
        str | None,
        typer.Option(metavar="FILE[::NAME]", help="what the training should do; none: any training's checks"),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="where traces and results go")] = Path("harness-out"),
    steps: Annotated[int, typer.Option(min=0, help="end the script after so many optimizer steps; 0: never")] = 0,
    every: Annotated[
        int,
        typer.Option(
            min=0, help="look at values at every so many steps; 0: closely at first, then as often as costs little"
        ),
    ] = 0,
    attach_after: Annotated[int, typer.Option(min=0, help="begin after so many optimizer steps")] = 0,
    reload: Annotated[
        Reload,
        typer.Option("--reload", help="auto: load the newest saved directory again, and hold it against the run"),
    ] = Reload.never,
    strict: Annotated[bool, typer.Option("--strict", help="warnings fail")] = False,
) -> int:
    """Run a training command unmodified, record what it does, and judge it.

    The exit status is the command's own where that is not 0, else the harness's.
    """
    from harness.intents import in_header, read_intent
    from harness.recording.scripts.options import Options
    from harness.running.session import claim_out
    from harness.tracing import collected, launch
    from harness.tracing.launching import live_line

    promise = read_intent(intent) if intent else None
    promised = in_header(promise) if promise else None
    if steps and attach_after >= steps:
        raise Refused(f"--attach-after {attach_after} leaves nothing of --steps {steps}", do="begin earlier")
    place = claim_out(out, files=(RESULTS, "summary.md"))
    for before in [*place.glob("trace*"), *place.glob("not-attached-*"), *place.glob(RELOAD)]:
        shutil.rmtree(before) if before.is_dir() else before.unlink()
    again = reload is Reload.auto
    options = Options(str(place), steps, every, attach_after, last_look=True, reload=again)
    ended = launch(command, options, live_line(place))
    sys.stdout.flush()
    made = collected(place, ended, promised)
    if not made:
        return _unobserved(place, ended)
    if again:
        made = _loaded_again(place, made, promise, intent)
    return _told(made, place, out, ended, strict)


def _loaded_again(place: Path, made: Sequence[Traced], promise: Promise | None, intent: str | None) -> list[Traced]:
    """Each training with what its newest saved directory gave back. A loader's module lies beside the intent file, or
    where the command was started."""
    from dataclasses import replace

    from harness.intents import loader_of, trusts_code
    from harness.own_code import let_in
    from harness.tracing.reloading import load_again

    loader, trusted = (loader_of(promise), trusts_code(promise)) if promise else (None, False)
    if loader is not None and intent is not None:
        let_in(Path(intent.partition("::")[0]).absolute().parent)
        let_in(Path.cwd())
    try:
        return [replace(one, trace=load_again(place, one.trace, loader, trusted)) for one in made]
    finally:
        shutil.rmtree(place / RELOAD, ignore_errors=True)


def _unobserved(place: Path, ended: Ended) -> int:
    from harness.tracing.collecting import unobserved

    print(f"\nharness: not observed: {unobserved(place)}; nothing can be said of it", file=sys.stderr)
    return ended.status or UNOBSERVED


def _told(made: Sequence[Traced], place: Path, out: Path, ended: Ended, strict: bool) -> int:
    from harness.face import Results, check
    from harness.report import Summary, closing_lines, recipe_line
    from harness.store import write_results
    from harness.tracing.told import tell_github
    from harness.verdict import exit_status

    everything: list[Result] = []
    print()
    for one in made:
        results = _named(check(one.trace.directory), one.name)
        everything += results
        print(recipe_line(one.name, results, ended.seconds if len(made) == 1 else None, colour=colour()))
        print(_seen(one.trace))
        _show_failures(results, out / one.trace.directory.name)
    write_results(place / RESULTS, everything)
    print(f"\n{closing_lines(Summary.of(everything), colour=colour())}")
    print(f"traces and results: {out}")
    tell_github(place, everything, out)
    status = exit_status(Results(everything), strict=strict)
    if ended.status:
        print(f"the command itself ended with {ended.told}")
    return ended.status or status


def _named(results: Results, name: str) -> list[Result]:
    from dataclasses import replace

    return [replace(result, recipe=name) for result in results]


def _show_failures(results: Sequence[Result], trace: Path) -> None:
    from harness.report import failure_block

    for result in results:
        if result.status.value in ("failed", "warned", "blocked"):
            print(f"\n{failure_block(result, f'harness check {trace}', colour=colour())}")


def _seen(recorded: Trace) -> str:
    """What was looked at, in one line."""
    from harness.tracing.collecting import seen

    return f"    {seen(recorded)}"
