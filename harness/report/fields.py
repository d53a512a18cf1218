"""The fields of findings: which are shown, under which names, in which order."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from harness.report.text import printable
from harness.result import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.result import Finding, Result

SHOWN = 5
_INDENT = "  "
_NAME_WIDTH = 10
_COUNT = re.compile(r"(\d+ findings?)?")  # the reason of a result that only has its findings


def fields_of(finding: Finding) -> list[tuple[str, str]]:
    """Name and text of every field that says something."""
    named = {
        "expected": finding.expected,
        "seen": finding.seen,
        "where": finding.where,
        "cause": finding.cause,
        "do": finding.do,
    }
    return [(name, text) for name, text in named.items() if text]


def errors_first(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: finding.severity is not Severity.ERROR)


def more_of(findings: Sequence[Finding], shown: int) -> list[str]:
    """One line for each kind of which more than the first `shown` findings hold."""
    left = Counter(finding.kind for finding in findings[shown:])
    if len({finding.kind for finding in findings}) == 1:
        return [f"and {number} more of the same kind" for number in left.values()]
    return [f"and {number} more of kind {kind}" for kind, number in left.items()]


def telling_reason(result: Result) -> str:
    """Its reason, if that says more than that it has findings."""
    return "" if result.findings and _COUNT.fullmatch(result.reason) else result.reason


def result_lines(result: Result, again: str, name_style: Callable[[str], str] = str) -> list[str]:
    """The findings of a result, its reason if that says more, and the command that reproduces it."""
    findings = errors_first(result.findings)
    paragraphs = [fields_of(finding) for finding in findings[:SHOWN]]
    if not findings or telling_reason(result):
        paragraphs.append([("reason", result.reason)])
    sections = [[line for field in fields for line in _lines(*field, name_style)] for fields in paragraphs]
    if more := more_of(findings, SHOWN):
        sections.append([_INDENT + line for line in more])
    sections[-1] += _lines("again", again, name_style)
    return [line for section in sections for line in (*section, "")][:-1]


def _lines(name: str, text: str, name_style: Callable[[str], str]) -> list[str]:
    if not text:
        return []
    first, *others = printable(text).strip("\n").split("\n")
    margin = _INDENT + " " * _NAME_WIDTH
    start = _INDENT + name_style(name.ljust(_NAME_WIDTH)) + first
    return [line.rstrip() for line in (start, *(margin + other for other in others))]
