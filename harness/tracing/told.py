"""What GitHub's workflows read: a summary in Markdown, and an annotation for each failure."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from harness.result import Result, Status

SUMMARY = "summary.md"
SHOWN = (Status.FAILED, Status.BLOCKED, Status.WARNED)


def tell_github(place: Path, results: Sequence[Result], out: Path) -> None:
    """Write the summary beside the results; in a workflow also to its job's summary, and annotations to its log."""
    text = summary_of(results, out)
    (place / SUMMARY).write_text(text, encoding="utf-8")
    job = os.environ.get("GITHUB_STEP_SUMMARY")
    if job:
        with contextlib.suppress(OSError), Path(job).open("a", encoding="utf-8") as file:
            file.write(text)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in annotations_of(results):
            print(line)


def summary_of(results: Sequence[Result], out: Path) -> str:
    """Each training with its counts, and what failed."""
    lines = ["## What the training did", "", "| training | passed | failed | blocked | warned | not applicable |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for name in dict.fromkeys(result.recipe for result in results):
        ours = [result.status for result in results if result.recipe == name]
        counts = [ours.count(status) for status in (Status.PASSED, *SHOWN, Status.NOT_APPLICABLE)]
        lines.append(f"| {_cell(name)} | {' | '.join(map(str, counts))} |")
    for result in results:
        if result.status in SHOWN:
            lines += [
                "",
                f"**{result.status.value}** `{result.check}` of {_cell(result.recipe)}: {_cell(result.reason)}",
            ]
            for finding in result.findings:
                lines.append(
                    f"- expected {_cell(finding.expected)}; seen {_cell(finding.seen)} ({_cell(finding.where)})"
                )
    return "\n".join([*lines, "", f"Traces: `{out}`", ""])


def annotations_of(results: Sequence[Result]) -> list[str]:
    """One line for each finding, and each check that was blocked, as GitHub Actions reads them from the log."""
    lines = []
    for result in results:
        title = f"{result.check} ({result.recipe})"
        if result.status is Status.BLOCKED:
            lines.append(_annotation("error", title, f"blocked: {result.reason}"))
        for finding in result.findings:
            said = f"expected {finding.expected}; seen {finding.seen}; {finding.where}"
            lines.append(_annotation(finding.severity.value, title, said))
    return lines


def _annotation(level: str, title: str, message: str) -> str:
    return f"::{level} title={_escaped(title, also=True)}::{_escaped(message)}"


def _escaped(text: str, also: bool = False) -> str:
    """As GitHub's commands want it: percent signs and line breaks, and in a property colons and commas."""
    found = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return found.replace(":", "%3A").replace(",", "%2C") if also else found


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
