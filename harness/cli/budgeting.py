"""`harness budget`: what the timed runs of a `harness run` came to, and writing it down to be held against."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.shown import AsJson, print_columns, print_json
from harness.refusal import Refused
from harness.wording import count

if TYPE_CHECKING:
    from harness.checks.paced import Pace

STEADY = 1.3  # how far apart the bounds of what is written down may be: no farther than the slowdown that it is to show


def budget(
    run: Annotated[Path, typer.Argument(help="the --out of a harness run", show_default=False)],
    write: Annotated[bool, typer.Option("--write", help="into budgets.yaml beside the suites")] = False,
    as_json: AsJson = False,
) -> int:
    """Show how fast the timed runs were, and write it down where recipes say `pinned: true`."""
    found = dict(_timed(run))
    if not found:
        do = "run a suite whose recipes state budget: {throughput: ...}"
        raise Refused("holds no timed run", where=str(run), do=do)
    unsteady = [name for name, pace in found.items() if pace.of_matmul.high > STEADY * pace.of_matmul.low]
    if as_json:
        print_json([_record(name, pace, steady=name not in unsteady) for name, pace in found.items()])
    else:
        print_columns([_line(name, pace, steady=name not in unsteady) for name, pace in found.items()])
    if write:
        _write(run, {name: pace for name, pace in found.items() if name not in unsteady}, quiet=as_json)
    return int(write and bool(unsteady))


def _timed(run: Path) -> Iterator[tuple[str, Pace]]:
    from harness.checks.paced import pace_of
    from harness.trace.reader import read_trace

    for measured in sorted(run.glob("runs/*/trace/measured.json")):
        if '"pace"' in measured.read_text(encoding="utf-8"):
            trace = read_trace(measured.parent)
            yield str(trace.header["recipe_id"]), pace_of(trace)


def _write(run: Path, steady: dict[str, Pace], *, quiet: bool) -> None:
    from harness.recipe.budget_file import BUDGETS, write_budgets
    from harness.recipe.budgets import Measured
    from harness.report.about import AboutRun

    suites = AboutRun.of([run]).suites
    files: dict[Path, dict[str, Measured]] = {}
    for name, pace in steady.items():
        suite = next((path for title, path in suites.items() if name.startswith(f"{title}/")), None)
        if suite is None:
            raise Refused(f"nobody knows where the suite of {name} lies", where=str(run), do="run it again")
        own = name.rpartition("/")[2] if "/" in name else name
        one = Measured(device=pace.device, of_matmul=round(pace.of_matmul.middle, 6), torch=pace.torch)
        files.setdefault(Path(suite).with_name(BUDGETS), {})[f"{Path(suite).stem}/{own}"] = one
    for path, found in files.items():
        write_budgets(path, found)
        if not quiet:
            print(f"Written: {path}, {count(len(found), 'recipe')}")


def _line(name: str, pace: Pace, *, steady: bool) -> list[str]:
    return [
        name,
        f"{1000 * pace.seconds_per_step:.3g} ms a step",
        f"{pace.of_bare.middle:.0%} of the bare loop's speed",
        f"{pace.of_matmul.middle:.3%} of the matrix rate",
        pace.device,
        "" if steady else "too noisy to be written down",
    ]


def _record(name: str, pace: Pace, *, steady: bool) -> dict[str, Any]:
    return {
        "recipe": name,
        "device": pace.device,
        "torch": pace.torch,
        "seconds_per_step": pace.seconds_per_step,
        "of_bare": pace.of_bare.middle,
        "of_matmul": pace.of_matmul.middle,
        "spread": pace.spread,
        "steady": steady,
    }
