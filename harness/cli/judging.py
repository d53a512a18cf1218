"""`harness check` and `harness report`: judging and showing what is already there."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.shown import AsJson, colour, print_json
from harness.refusal import Refused

RESULTS = "results.jsonl"


def check(
    trace: Annotated[Path, typer.Argument(help="a trace directory", show_default=False)],
    intent: Annotated[
        str | None, typer.Option(metavar="FILE[::NAME]", help="judge against this intent file (YAML) instead")
    ] = None,
    partners: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="NAME=TRACE", help="another run, for checks that compare runs; may be repeated"),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Judge a recorded trace again."""
    from harness.face import check as judged
    from harness.intents import read_intent
    from harness.report import Summary, closing_lines, failure_block, recipe_line
    from harness.verdict import exit_status

    given = _partners_of(partners or [])
    results = judged(trace, read_intent(intent) if intent else None, given)
    if as_json:
        print_json([result.to_json() for result in results])
        return exit_status(results)
    print(recipe_line(results[0].recipe, results, None, colour=colour()))
    again = shlex.join(
        ["harness", "check", str(trace)]
        + (["--intent", intent] if intent else [])
        + [part for name, place in given.items() for part in ("--with", f"{name}={place}")]
    )
    for result in results:
        if result.status.value in ("failed", "warned", "blocked"):
            print(f"\n{failure_block(result, again, colour=colour())}")
    print(f"\n{closing_lines(Summary.of(results), colour=colour())}")
    return exit_status(results)


def _partners_of(pairs: Sequence[str]) -> dict[str, Path]:
    """Partner runs by name, as they were given."""
    partners: dict[str, Path] = {}
    for pair in pairs:
        name, equals, place = pair.partition("=")
        if not (name and equals and place):
            raise Refused(f"--with {pair!r} is not written as NAME=TRACE", do="as in --with scaler_fp16=DIR")
        if name in partners:
            raise Refused(f"--with {name} is given twice", do="give each partner run once")
        partners[name] = Path(place)
    return partners


def report(
    results: Annotated[list[Path], typer.Argument(help="results.jsonl files, or folders of them", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="where report.md and report.html go")] = Path(),
) -> int:
    """Write the Markdown and HTML reports, and the JUnit file, of results and their traces again."""
    from harness.report import AboutRun, closing_lines, write_reports
    from harness.store import read_results
    from harness.verdict import exit_status

    results = list(dict.fromkeys(path / RESULTS if path.is_dir() else path for path in results))
    read = tuple(result for path in results for result in read_results(path))
    if not read:
        raise Refused("there are no results", where=", ".join(map(str, results)), do="run the suite again")
    folders = list(dict.fromkeys(path.parent for path in results))
    about = AboutRun.of(folders)
    summary = write_reports(out, read, about, folders).summary
    print(closing_lines(summary, colour=colour()))
    return int(summary.failed) or exit_status(read, strict=about.strict)
