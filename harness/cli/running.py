"""`harness run` and `harness faults`: commands that train."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.shown import AsJson, colour, print_columns, print_json

if TYPE_CHECKING:
    from harness.cli.gating import Beyond
    from harness.pytest_session import PytestSession
    from harness.recipe import Suite
    from harness.report import RunReport
    from harness.verdict import Baseline

Suites = Annotated[list[Path], typer.Argument(help="suite files, or folders of them", show_default=False)]
Out = Annotated[Path, typer.Option("--out", help="where runs, results and reports go")]
BROKEN, INTERRUPTED = 3, 130


def run(
    suites: Suites,
    recipe: Annotated[list[str] | None, typer.Option("--recipe", help="only this recipe, by id")] = None,
    keyword: Annotated[str, typer.Option("-k", help="only matching checks, as in pytest")] = "",
    workers: Annotated[int, typer.Option("-n", help="worker processes", min=0)] = 0,
    out: Out = Path("harness-out"),
    strict: Annotated[bool, typer.Option("--strict", help="warnings fail")] = False,
    baseline: Annotated[Path | None, typer.Option(help="fail if fewer checks apply than this file says")] = None,
    write_baseline: Annotated[Path | None, typer.Option(help="write the checks that applied to this file")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="only some recipes of each suite: no release gate")] = False,
    golden: Annotated[
        Path | None, typer.Option("--golden", help="verify the goldens of this folder too", show_default=False)
    ] = None,
    saved: Annotated[bool, typer.Option("--inspect", help="inspect what the recipes saved too")] = False,
    history: Annotated[
        Path | None,
        typer.Option("--history", help="the file of past runs, or off; .harness/history.sqlite", show_default=False),
    ] = None,
) -> int:
    """Fine-tune every recipe of the suites, judge the runs, and report."""
    from harness.cli.gating import beyond
    from harness.cli.refusals import refuse_gate_with, refuse_keyword, refuse_quick_with, refuse_unwritable
    from harness.cli.remembering import history_file, remember
    from harness.cli.suites import chosen, quick_ones, suites_at
    from harness.running.session import prepare_out, refuse_missing_device
    from harness.verdict import Baseline, exit_status

    before = Baseline.read(baseline) if baseline else None
    if quick:
        refuse_quick_with(recipe, write_baseline)
    refuse_keyword(keyword)
    if write_baseline:
        refuse_unwritable(write_baseline)
    refuse_gate_with(keyword, golden, saved)
    found = suites_at(suites)
    refuse_missing_device(found)
    arguments = quick_ones(found) if quick else chosen(found, recipe or [])
    prepare_out(out)
    session = _session([*arguments, *_pytest_options(out, keyword, workers, strict)], keyword)
    said = _selection(session, found, quick, keyword, recipe or [])
    more = beyond(session, golden, saved, everything=not said)
    if before:
        before = before.without(*["golden."] * (golden is None), *["inspect."] * (not saved))
    made = _report(session, said, _of_selection(before, session, said, keyword), write_baseline, more)
    remember(session, made, "quick" if quick else "a selection" if said else "", history_file(history))
    if session.broken:
        return _say_broken(session.broken)
    if made.interrupted:
        return INTERRUPTED
    return int(made.summary.failed) or exit_status(made.results, strict=session.strict)


def _session(arguments: list[str], keyword: str) -> PytestSession:
    """Run pytest. Returns the session it had, or raises what kept it from having one."""
    import pytest

    from harness.refusal import Refused

    sessions = _Sessions()
    with _no_other_plugins():
        status = pytest.main(arguments, plugins=[sessions])
    session = sessions.found
    if session is not None and session.refused:
        raise Refused(session.refused)
    if status == pytest.ExitCode.USAGE_ERROR:
        raise Refused("pytest refused these options", do="see the line above")
    if status == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise Refused(f"no check matches {keyword!r}", do="harness list checks shows them")
    if session is None and status == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if session is None or status == pytest.ExitCode.INTERNAL_ERROR:
        raise RuntimeError("pytest ended with an internal error")
    return session


@contextlib.contextmanager
def _no_other_plugins() -> Iterator[None]:
    """Plugins that somebody has installed for tests of their own, and options meant for those, stay out of a run."""
    before = dict(os.environ)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.environ.pop("PYTEST_ADDOPTS", None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class _Sessions:
    """A pytest plugin that finds the harness's own session."""

    found: PytestSession | None = None

    def pytest_unconfigure(self, config: Any) -> None:
        from harness.pytest_plugin import SESSION

        self.found = config.stash.get(SESSION, None)


def _pytest_options(out: Path, keyword: str, workers: int, strict: bool) -> list[str]:
    """pytest without the configuration of the directory it happens to run in, printing only what the plugin prints."""
    options = ["-c", os.devnull, "--rootdir", os.curdir, "-p", "no:cacheprovider", "-p", "no:terminal"]
    options += ["-p", "harness.pytest_plugin", "--harness-report", "--harness-out", str(out)]
    options += ["-k", keyword] if keyword else []
    options += ["-p", "xdist", "-n", str(workers), "--dist", "load"] if workers else []
    options += ["--harness-strict"] if strict else []
    return options


def _selection(
    session: PytestSession, suites: Sequence[Suite], quick: bool, keyword: str, recipes: Sequence[str]
) -> dict[str, str]:
    """What of the suites was run, for the report: `quick` for its verdict, `only` for the comparison. Empty: all."""
    everything = sum(len(suite.recipes) for suite in suites)
    number = f"{len(session.asked_recipes)} of {everything} recipes"
    parts = ["the quick gate"] * quick + [f"--recipe {name}" for name in recipes]
    parts += [f"-k {keyword!r}"] if keyword else []
    said = {"only": f"what {' and '.join(parts)} chose ({number})"} if parts else {}
    return {**said, "quick": number} if quick else said


def _of_selection(
    before: Baseline | None, session: PytestSession, said: Mapping[str, str], keyword: str
) -> Baseline | None:
    """What of the baseline there is to compare with."""
    if before is None or not said:
        return before
    return before.of_pairs(session.asked) if keyword else before.of_recipes(session.asked_recipes)


def _report(
    session: PytestSession,
    said: Mapping[str, str],
    before: Baseline | None,
    write_baseline: Path | None,
    more: Beyond,
) -> RunReport:
    """Write the reports, print the counts, and hand back what they were made from."""
    from harness.pytest_session import RESULTS
    from harness.report import closing_lines, seen_from_here, write_reports
    from harness.store import write_results
    from harness.verdict import Baseline

    results = (*session.kept, *more.results)
    beside = {
        "commands": more.commands,
        "goldens": more.goldens,
        "interrupted": session.interrupted or more.interrupted,
    }
    compared = {"missing": before.missing(results), "before": before.ended, **said} if before else dict(said)
    about = session.about.model_copy(update={**beside, **compared})
    if more.results:
        write_results(session.out / RESULTS, results)
    about.write(session.out)
    if write_baseline and not about.not_judged:
        Baseline.of(results).write(write_baseline)
    made = write_reports(session.out, results, about, [session.out])
    print(f"\n{closing_lines(made.summary, colour=colour())}")
    if made.comparison:
        print(made.comparison.verdict)
    print(f"Report: {seen_from_here(session.out / 'report.html')}")
    return made


def _say_broken(broken: Mapping[str, str]) -> int:
    """Show what was raised where a check should have been judged."""
    print(next(iter(broken.values())), file=sys.stderr)
    print(
        f"harness: {', '.join(broken)} could not be judged; this is a defect of the harness or of a check, "
        "please report it with the lines above",
        file=sys.stderr,
    )
    return BROKEN


def faults(
    suites: Suites,
    fault: Annotated[list[str] | None, typer.Option(help="only this fault")] = None,
    out: Out = Path("harness-out"),
    as_json: AsJson = False,
) -> int:
    """Inject every fault that applies into the suites' recipes, and print which checks caught it."""
    from harness.cli.suites import suites_at
    from harness.running.fault_table import fault_rows
    from harness.running.session import WarmParents, needed_of, prepare_out, refuse_missing_device, suite_names

    found = suites_at(suites)
    refuse_missing_device(found)
    names = suite_names(suite.path for suite in found)
    recipes = {f"{names[suite.path]}/{name}": recipe for suite in found for name, recipe in suite.recipes.items()}
    marks = ((names[suite.path], name, mark.fault) for suite in found for name, mark in suite.marks.items())
    marked = {f"{suite}/{name}": asked for suite, name, asked in marks if asked}
    out = prepare_out(out)
    parents = WarmParents(*needed_of(recipes.values()))
    rows = []
    try:
        for row in fault_rows(recipes, parents.sockets, out, fault or (), marked):
            rows.append(row)
            if not as_json:
                print_columns([_fault_line(row)])
    finally:
        parents.stop()
    missed = [row for row in rows if not row.caught]
    if as_json:
        print_json([_fault_record(row) for row in rows])
    else:
        print(f"\n{len(rows)} faults: {len(rows) - len(missed)} caught, {len(missed)} missed")
    return int(bool(missed) or not rows)


def _fault_line(row: Any) -> list[str]:
    mark = "caught" if row.caught else "MISSED"
    others = [name for name in row.caught_by if name != row.fault.caught_by]
    also = f"  (also {', '.join(others)})" if others else ""
    columns = (mark, 6), (row.fault.name, 38), (row.fault.size, 32), (row.recipe, 30)
    return [*(text.ljust(width) for text, width in columns), f"{row.fault.caught_by}{also}"]


def _fault_record(row: Any) -> dict[str, Any]:
    return {
        "fault": row.fault.name,
        "size": row.fault.size,
        "recipe": row.recipe,
        "must_be_caught_by": row.fault.caught_by,
        "finding": row.fault.finding,
        "caught": row.caught,
        "failed": list(row.caught_by),
    }
