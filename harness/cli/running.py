"""`harness run` and `harness faults`: commands that train."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.shown import AsJson, colour, print_columns, print_json

Suites = Annotated[list[Path], typer.Argument(help="suite files, or folders of them", show_default=False)]
Out = Annotated[Path, typer.Option("--out", help="where runs, results and reports go")]
PYTEST_INTERRUPTED, PYTEST_INTERNAL, PYTEST_USAGE, PYTEST_NOTHING = 2, 3, 4, 5
INTERRUPTED = 130


def run(
    suites: Suites,
    recipe: Annotated[list[str] | None, typer.Option("--recipe", help="only this recipe, by id")] = None,
    keyword: Annotated[str, typer.Option("-k", help="only matching checks, as in pytest")] = "",
    workers: Annotated[int, typer.Option("-n", help="worker processes", min=0)] = 0,
    out: Out = Path("harness-out"),
    strict: Annotated[bool, typer.Option("--strict", help="warnings fail")] = False,
    baseline: Annotated[Path | None, typer.Option(help="fail if fewer checks apply than this file says")] = None,
    write_baseline: Annotated[Path | None, typer.Option(help="write the checks that applied to this file")] = None,
) -> int:
    """Fine-tune every recipe of the suites, judge the runs, and report."""
    import pytest

    from harness.cli.beside import note_suites
    from harness.cli.refusals import refuse_keyword, refuse_unwritable
    from harness.cli.suites import chosen, suites_at
    from harness.refusal import Refused
    from harness.session import prepare_out
    from harness.verdict import Baseline

    before = Baseline.read(baseline) if baseline else None
    refuse_keyword(keyword)
    if write_baseline:
        refuse_unwritable(write_baseline)
    found = suites_at(suites)
    arguments = chosen(found, recipe or [])
    note_suites(prepare_out(out), found)
    outcome = _Outcome()
    status = pytest.main([*arguments, *_pytest_options(out, keyword, workers, strict)], plugins=[outcome])
    if outcome.refused:
        raise Refused(outcome.refused)
    if status == PYTEST_INTERNAL:
        return 3
    if status == PYTEST_USAGE:
        raise Refused("pytest refused these options", do="see the line above")
    if status == PYTEST_NOTHING:
        raise Refused(f"no check matches {keyword!r}", do="harness list checks shows them")
    verdict = _report(out, before if not (recipe or keyword) else None, write_baseline, strict)
    return INTERRUPTED if status == PYTEST_INTERRUPTED else verdict


class _Outcome:
    """Learns from the session what could not be done at all."""

    refused = ""

    def pytest_sessionfinish(self, session: Any) -> None:
        from harness.pytest_plugin import SESSION

        if SESSION in session.config.stash:
            self.refused = session.config.stash[SESSION].refused


def _pytest_options(out: Path, keyword: str, workers: int, strict: bool) -> list[str]:
    """pytest without the configuration of the directory it happens to run in, printing only what the plugin prints."""
    options = [
        "-c",
        os.devnull,
        "--rootdir",
        os.curdir,
        "-p",
        "no:cacheprovider",
        "-qq",
        "--no-header",
        "--no-summary",
    ]
    options += [
        "-o",
        "console_output_style=classic",
        "--tb=no",
        "--harness-report",
        "--harness-out",
        str(out),
    ]
    options += ["--junitxml", str(out / "junit.xml"), "-o", "junit_family=xunit2"]
    options += ["-k", keyword] if keyword else []
    options += ["-n", str(workers), "--dist", "load"] if workers else ["-p", "no:xdist"]
    options += ["--harness-strict"] if strict else []
    return options


def _report(out: Path, before: Any, write_baseline: Path | None, strict: bool) -> int:
    """Write the reports, print the counts, and say how it ended."""
    from harness.cli.judging import write_reports
    from harness.report import closing_lines
    from harness.store import read_results
    from harness.verdict import Baseline, exit_status

    results = read_results(out / "results.jsonl")
    missing = before.missing(results) if before else ()
    if write_baseline:
        Baseline.of(results).write(write_baseline)
    report = write_reports(out, tuple(results), missing)
    print()
    print(closing_lines(report.summary, colour=colour()))
    print(f"Report: {out / 'report.html'}")
    return int(bool(missing)) or exit_status(results, strict=strict) or int(not results)


def faults(suites: Suites, out: Out = Path("harness-out"), as_json: AsJson = False) -> int:
    """Inject every fault that applies into the suites' recipes, and print which checks caught it."""
    from harness.cli.suites import suites_at
    from harness.fault_table import fault_rows
    from harness.session import WarmParents, prepare_out

    found = suites_at(suites)
    recipes = {f"{suite.name}/{name}": recipe for suite in found for name, recipe in suite.recipes.items()}
    out = prepare_out(out)
    parents = WarmParents(sorted({recipe.family for recipe in recipes.values()}))
    rows = []
    try:
        for row in fault_rows(recipes, parents.sockets, out):
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
    return [mark.ljust(6), row.fault.name.ljust(34), row.fault.size.ljust(28), f"{row.fault.caught_by}{also}"]


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
