"""A report as one HTML page without external assets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.report.alignments import ALIGNMENT, shown
from harness.report.fields import SHOWN, errors_first, fields_of, more_of
from harness.report.statuses import BY_URGENCY, FAILING, LETTERS, counted, label
from harness.report.text import duration, fact, one_line, printable
from harness.result import Severity

if TYPE_CHECKING:
    from jinja2 import Template

    from harness.report.model import RunReport
    from harness.report.summary import Counts
    from harness.result import Finding, Result, Status

_HELD = 50


def to_html(run: RunReport) -> str:
    """The whole report as one page; the same report gives the same page, byte for byte."""
    recipes = _recipes(run)
    return _template().render(
        title=run.title,
        verdict=run.summary.verdict,
        failed=run.summary.failed,
        counts=_tally(run.summary.overall),
        recipes=recipes,
        checks=sorted({result.check for result in run.results}),
        legend=[_Mark.of(status) for status in BY_URGENCY if run.summary.overall[status]],
        comparison=run.comparison,
        not_judged=run.not_judged,
        interrupted=run.interrupted,
        unused=run.unused,
        off=[one.text for one in run.summary.off],
        alignments=[(name, shown(before), shown(after)) for name, (before, after) in run.alignments.items()],
        alignment_title=ALIGNMENT,
        environment=[(name, fact(value)) for name, value in run.environment.items()],
    )


@dataclass(frozen=True)
class _Mark:
    """A status as the page shows it: a style, a word and, where there is no room for it, a letter."""

    style: str
    word: str
    letter: str

    @classmethod
    def of(cls, status: Status) -> _Mark:
        return cls(style=status.value, word=label(status), letter=LETTERS[status])


@dataclass(frozen=True)
class _Paragraph:
    """One finding."""

    kind: str
    only_a_warning: bool
    fields: list[tuple[str, str]]

    @classmethod
    def of(cls, finding: Finding) -> _Paragraph:
        return cls(finding.kind, finding.severity is Severity.WARNING, fields_of(finding))


@dataclass(frozen=True)
class _Check:
    anchor: str
    name: str
    mark: _Mark
    failing: bool
    reason: str
    findings: list[_Paragraph]
    folded: list[_Paragraph]
    more: list[str]
    again: str

    @property
    def tooltip(self) -> str:
        seen = [text for finding in self.findings[:1] for name, text in finding.fields if name == "seen"]
        return one_line(": ".join([self.name, self.mark.word, *([self.reason] if self.reason else seen)]))


@dataclass(frozen=True)
class _Recipe:
    name: str
    failing: bool
    tally: list[tuple[str, str]]
    time: str
    checks: list[_Check]

    @property
    def cells(self) -> dict[str, _Check]:
        """Check by name; where results were merged and one check has several, the most urgent."""
        return {check.name: check for check in reversed(self.checks)}


def _recipes(run: RunReport) -> list[_Recipe]:
    """Those that fail come first."""
    recipes = [
        _Recipe(
            name=name,
            failing=bool(run.summary.recipes[name].failing),
            tally=_tally(run.summary.recipes[name]),
            time=duration(run.seconds[name]) if name in run.seconds else "",
            checks=_checks(run, results, f"recipe-{number}"),
        )
        for number, (name, results) in enumerate(run.recipes.items(), start=1)
    ]
    return sorted(recipes, key=lambda recipe: not recipe.failing)


def _checks(run: RunReport, results: list[Result], prefix: str) -> list[_Check]:
    urgent_first = sorted(results, key=lambda result: BY_URGENCY.index(result.status))
    return [
        _check(result, f"{prefix}-check-{number}", run.command_for(result))
        for number, result in enumerate(urgent_first, start=1)
    ]


def _check(result: Result, anchor: str, again: str) -> _Check:
    findings = errors_first(result.findings)
    failing = result.status in FAILING
    return _Check(
        anchor=anchor,
        name=result.check,
        mark=_Mark.of(result.status),
        failing=failing,
        reason=result.reason,
        findings=[_Paragraph.of(finding) for finding in findings[:SHOWN]],
        folded=[_Paragraph.of(finding) for finding in findings[SHOWN:_HELD]],
        more=more_of(findings, _HELD),
        again=again if failing or findings else "",
    )


def _tally(counts: Counts) -> list[tuple[str, str]]:
    """Style and text of every status that occurs."""
    return [(status.value, counted(status, counts[status])) for status in counts.occurring]


def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("harness", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_without_controls,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html.jinja")


def _without_controls(value: Any) -> Any:
    # What a macro returns is a str with __html__: cleaned already, and not to be escaped again.
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
