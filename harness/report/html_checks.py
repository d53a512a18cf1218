"""Results as the page shows them: failures in full, a recipe's other checks by name and by reason."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.report.fields import SHOWN, errors_first, fields_of, more_of, telling_reason
from harness.report.statuses import BY_URGENCY, FAILING, SYMBOLS, UNJUDGED, counted, label
from harness.report.text import duration, one_line
from harness.result import Severity, Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.report.model import RunReport
    from harness.report.summary import Counts
    from harness.result import Finding, Result

CODES = {
    Status.PASSED: "p",
    Status.FAILED: "f",
    Status.BLOCKED: "b",
    Status.FIXED: "x",
    Status.WARNED: "w",
    Status.KNOWN_FAILURE: "k",
    Status.NOT_COMPARABLE: "c",
    Status.NOT_APPLICABLE: "n",
}
HELD = 50  # findings of one check that are on the page; more are counted
MOST_IN_FULL = 200  # results with findings that a page has in full: a gate in which everything fails still opens
_BRIEF = 160
_NO_SLUG = re.compile(r"[^A-Za-z0-9._+-]+")


@dataclass(frozen=True)
class Mark:
    """A status as the page shows it: a style, a word and, where there is no room for it, a symbol; `code` is the style
    of the matrix's many cells."""

    style: str
    word: str
    symbol: str
    code: str

    @classmethod
    def of(cls, status: Status) -> Mark:
        return cls(status.value, label(status), SYMBOLS[status], CODES[status])


@dataclass(frozen=True)
class Paragraph:
    """A finding."""

    kind: str
    only_a_warning: bool
    fields: list[tuple[str, str]]

    @classmethod
    def of(cls, finding: Finding) -> Paragraph:
        return cls(finding.kind, finding.severity is Severity.WARNING, fields_of(finding))


@dataclass(frozen=True)
class Shown:
    """A result that is shown in full."""

    anchor: str
    recipe: str
    check: str
    number: int
    mark: Mark
    failing: bool
    reason: str
    findings: list[Paragraph]
    folded: list[Paragraph]
    more: list[str]
    again: str


@dataclass(frozen=True)
class RecipeShown:
    """A recipe: its cells of the matrix, what is shown of it in full, and names of all other checks."""

    name: str
    suite: str
    anchor: str
    number: int
    failing: bool
    tally: list[tuple[str, str]]
    time: str
    full: list[Shown]
    passed: list[str]
    by_reason: list[tuple[Mark, list[tuple[str, list[str]]]]]
    cells: dict[str, tuple[Mark, int, str]] = field(default_factory=dict)


class Anchors:
    """Names for places on the page, readable and each once."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def new(self, *parts: str) -> str:
        name = "--".join(_NO_SLUG.sub("-", part).strip("-") for part in parts)
        self._taken[name] = self._taken.get(name, 0) + 1
        return name if self._taken[name] == 1 else f"{name}--{self._taken[name]}"


class Reasons:
    """Every reason once: cells of the matrix name it by its number."""

    def __init__(self) -> None:
        self.texts: list[str] = [""]
        self._numbers: dict[str, int] = {"": 0}

    def number(self, text: str) -> int:
        if text not in self._numbers:
            self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return self._numbers[text]


def recipes_shown(run: RunReport, reasons: Reasons) -> list[RecipeShown]:
    """Those that fail come first. Once so many results are shown in full, others are by name and what was seen."""
    in_order = sorted(run.recipes, key=lambda name: not run.summary.recipes[name].failing)
    anchors, shown = Anchors(), []
    room = MOST_IN_FULL
    for number, name in enumerate(in_order):
        shown.append(_recipe(run, name, number, anchors, reasons, room))
        room -= len(shown[-1].full)
    return shown


def _recipe(run: RunReport, name: str, number: int, anchors: Anchors, reasons: Reasons, room: int) -> RecipeShown:
    results = sorted(run.recipes[name], key=lambda result: BY_URGENCY.index(result.status))
    telling = [one for one in results if _tells_more(one)][:room]
    full = [_shown(one, number, anchors, run.command_for(one)) for one in telling]
    by_anchor = {(shown.check, shown.mark.style): shown.anchor for shown in reversed(full)}
    rest = [one for one in results if all(one is not other for other in telling)]
    anchor = anchors.new("recipe", name)
    return RecipeShown(
        name=name,
        suite=name.rpartition("/")[0],
        anchor=anchor,
        number=number,
        failing=bool(run.summary.recipes[name].failing),
        tally=tally(run.summary.recipes[name]),
        time=duration(run.seconds[name]) if name in run.seconds else "",
        full=full,
        passed=[one.check for one in rest if one.status is Status.PASSED and not one.reason],
        by_reason=_by_reason(one for one in rest if one.status is not Status.PASSED or one.reason),
        cells={
            one.check: (
                Mark.of(one.status),
                reasons.number(one.reason),
                by_anchor.get((one.check, one.status.value), anchor) if one.status in FAILING else "",
            )
            for one in reversed(results)
        },
    )


def _tells_more(result: Result) -> bool:
    return bool(result.findings) or result.status not in (Status.PASSED, *UNJUDGED)


def _by_reason(results: Iterable[Result]) -> list[tuple[Mark, list[tuple[str, list[str]]]]]:
    """Names of checks by status, the most urgent first, and by reason."""
    groups: dict[Status, dict[str, list[str]]] = {}
    for one in results:
        groups.setdefault(one.status, {}).setdefault(_briefly(one), []).append(one.check)
    return [(Mark.of(status), list(by_reason.items())) for status, by_reason in groups.items()]


def _briefly(result: Result) -> str:
    """Its reason; where that is only a number of findings, what the first of them saw."""
    seen = next((one.seen for one in errors_first(result.findings) if one.seen), "")
    text = one_line(seen or result.reason)
    return text if len(text) <= _BRIEF else f"{text[:_BRIEF]}…"


def _shown(result: Result, number: int, anchors: Anchors, again: str) -> Shown:
    findings = errors_first(result.findings)
    return Shown(
        anchor=anchors.new("failure" if result.status in FAILING else "told", result.recipe, result.check),
        recipe=result.recipe,
        check=result.check,
        number=number,
        mark=Mark.of(result.status),
        failing=result.status in FAILING,
        reason=telling_reason(result),
        findings=[Paragraph.of(finding) for finding in findings[:SHOWN]],
        folded=[Paragraph.of(finding) for finding in findings[SHOWN:HELD]],
        more=more_of(findings, HELD),
        again=again,
    )


def tally(counts: Counts) -> list[tuple[str, str]]:
    """Style and text of every status that occurs."""
    return [(status.value, counted(status, counts[status])) for status in counts.occurring]
