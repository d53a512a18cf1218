"""The files of a report: Markdown, one HTML page, and JUnit XML for the service that runs the suites."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.compat_table import COMPAT, CompatTable
from harness.refusal import Refused
from harness.report.about import AboutRun
from harness.report.alignments import alignments
from harness.report.drift import PREFIX, drifts
from harness.report.html import to_html
from harness.report.junit import to_junit
from harness.report.markdown import comparison_markdown, to_markdown
from harness.report.model import RunReport
from harness.report.traced import evidence
from harness.result import Result
from harness.store import sweep, write_text
from harness.verdict import Baseline

COMPARISON = "comparison.md"


def write_reports(out: Path, results: tuple[Result, ...], about: AboutRun, folders: Iterable[Path]) -> RunReport:
    """Write every report, and hand back what they were made from. The traces of the runs lie in the folders."""
    made = report_of(results, about, folders)
    texts = {"report.md": to_markdown(made), "report.html": to_html(made), "junit.xml": to_junit(made)}
    texts |= {COMPARISON: comparison_markdown(made)} if made.comparison else {}
    for name, text in texts.items():  # all are made before the first is written: a run of several seconds lies between
        sweep(out / name)
        write_text(out / name, text)
    return made


def report_of(results: tuple[Result, ...], about: AboutRun, folders: Iterable[Path]) -> RunReport:
    """What every report is made from: results, what lies beside them, and the traces of the runs."""
    folders = list(folders)
    against_goldens = dict.fromkeys(one.recipe for one in results if one.check.startswith(PREFIX))
    return RunReport(
        results,
        seconds=about.seconds,
        environment=environment(folders),
        alignments=alignments(folders),
        evidence=evidence(folders, dict.fromkeys(one.recipe for one in results)),
        drifts=drifts(folders, against_goldens, Path(about.goldens) if about.goldens else None),
        compat=compat_of(folders),
        again={(one.recipe, one.check): about.command_for(one.recipe, one.check) for one in results},
        missing=about.missing,
        unused=about.unused,
        not_judged=about.not_judged,
        interrupted=about.interrupted,
        strict=about.strict,
        baseline=Baseline(about.before or {}).results,
        compared=about.before is not None,
        only=about.only,
        quick=about.quick,
        coverage=about.coverage,
    )


def compat_of(folders: Iterable[Path]) -> CompatTable | None:
    """The table of stacks, where one lies beside the results."""
    found = next((path for folder in folders if (path := folder / COMPAT).exists()), None)
    return CompatTable.read(found) if found else None


def environment(folders: Iterable[Path]) -> dict[str, Any]:
    """The environment of the first run that recorded one."""
    headers = (path for folder in folders for path in sorted(folder.glob("runs/*/trace/header.json")))
    return next((found for header in headers if (found := _recorded(header))), {})


def _recorded(header: Path) -> dict[str, Any]:
    try:
        value = json.loads(header.read_text(encoding="utf-8"))
    except OSError as error:
        raise Refused(f"cannot be read: {error.strerror}", where=str(header), do="make it readable") from None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Refused("is damaged", where=str(header), do="remove it, or run again")
    found = value.get("environment")
    return found if isinstance(found, dict) else {}
