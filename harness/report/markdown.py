"""A report in Markdown, for a pull request or the summary page of a continuous integration job."""

from __future__ import annotations

import re
from collections import Counter
from textwrap import dedent
from typing import TYPE_CHECKING

from harness.report.alignments import ALIGNMENT, shown
from harness.report.comparison import NO_STATUSES
from harness.report.fields import result_lines
from harness.report.statuses import FAILING, heading, label
from harness.report.text import duration, fact, one_line
from harness.result import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.report.comparison import Comparison
    from harness.report.model import RunReport
    from harness.report.summary import Counts
    from harness.result import Result

_SPECIAL = re.compile(r"([\\`*\[\]<>|]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
_EXPLAINED = (Status.KNOWN_FAILURE, Status.NOT_COMPARABLE, Status.NOT_APPLICABLE)


def to_markdown(run: RunReport) -> str:
    """The whole report: verdict, counts, failures, reasons, comparison, environment."""
    sections = [
        f"# {_plain(run.title)}",
        f"**{_plain(run.summary.verdict)}**",
        _counts(run),
        *_results(run, "Failures", FAILING),
        *_results(run, "Warnings", (Status.WARNED,)),
        *_switched_off(run),
        *_reasons(run),
        *_names(2, f"Recipes {'not run' if run.interrupted else 'that could not be judged'}", run.not_judged),
        *_names(2, "Known failures that match nothing", run.unused),
        *_comparison(run.comparison),
        *_alignments(run),
        *_environment(run),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _counts(run: RunReport) -> str:
    summary = run.summary
    statuses = summary.overall.occurring
    if not statuses:
        return ""

    def row(name: str, counts: Counts, seconds: float | None) -> list[str]:
        numbers = [str(counts[status]) for status in statuses]
        return [name, *numbers, "" if seconds is None else duration(seconds)]

    rows = [row(_code(recipe), counts, run.seconds.get(recipe)) for recipe, counts in summary.recipes.items()]
    total = row("all", summary.overall, sum(run.seconds.values()) if run.seconds else None)
    return _table(["recipe", *map(label, statuses), "time"], [*rows, total], numbers=True)


def _results(run: RunReport, title: str, statuses: Sequence[Status]) -> list[str]:
    chosen = [
        result for status in statuses for group in run.recipes.values() for result in group if result.status is status
    ]
    return [f"## {title}", *(_result(result, run.command_for(result)) for result in chosen)] if chosen else []


def _result(result: Result, again: str) -> str:
    title = f"### {heading(result.status)} {_code(result.check)} of {_code(result.recipe)}"
    lines = dedent("\n".join(result_lines(result, again)))
    return f"{title}\n\n{_fenced(lines)}" if lines else title


def _reasons(run: RunReport) -> list[str]:
    reasons = Counter((result.status, _plain(result.reason)) for result in run.results if _explained(result))
    if not reasons:
        return []
    in_order = sorted(reasons.items(), key=lambda item: (_EXPLAINED.index(item[0][0]), item[0][1]))
    rows = [[label(status), reason, str(number)] for (status, reason), number in in_order]
    return ["## Neither passed nor failed", _table(["status", "reason", "checks"], rows)]


def _explained(result: Result) -> bool:
    return result.status in _EXPLAINED and not result.switched_off


def _switched_off(run: RunReport) -> list[str]:
    """Apart from what did not apply: these are the users' own decisions, in their own words."""
    rows = [[_code(one.check), str(one.recipes), _plain(one.reason)] for one in run.summary.off]
    total = sum(one.recipes for one in run.summary.off)
    return [f"## Switched off by the suite ({total})", _table(["check", "recipes", "reason"], rows)] if rows else []


def comparison_markdown(run: RunReport) -> str:
    """The comparison with the baseline alone, short enough for a comment on a pull request."""
    sections = [f"# {_plain(run.title)}", f"**{_plain(run.summary.verdict)}**", *_comparison(run.comparison)]
    return "\n\n".join(section for section in sections if section) + "\n"


def _comparison(comparison: Comparison | None) -> list[str]:
    if comparison is None:
        return []
    rows = [[_code(change.recipe), change.before, change.after] for change in comparison.recipes]
    return [
        "## Compared with the baseline",
        _plain(comparison.verdict),
        _table(["recipe", "before", "after"], rows, numbers=True) if rows else _plain(NO_STATUSES),
        *(section for title, names in comparison.lists for section in _names(3, title, names)),
    ]


def _names(level: int, title: str, names: Iterable[str]) -> list[str]:
    items = "\n".join(f"- {_code(name)}" for name in names)
    return [f"{'#' * level} {title}", items] if items else []


def _alignments(run: RunReport) -> list[str]:
    rows = [[_code(recipe), shown(before), shown(after)] for recipe, (before, after) in run.alignments.items()]
    table = _table(["recipe", "before", "after"], rows, numbers=True)
    return [f"## {ALIGNMENT}", table] if rows else []


def _environment(run: RunReport) -> list[str]:
    rows = [[_plain(name), _code(fact(value))] for name, value in run.environment.items()]
    return ["## Environment", _table(["fact", "value"], rows)] if rows else []


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = False) -> str:
    rule = ["---", *(["--:" if numbers else "---"] * (len(titles) - 1))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (titles, rule, *rows))


def _plain(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", one_line(text))


def _code(text: str) -> str:
    """A code span, also inside a table, where a bar would end the cell."""
    line = one_line(text).replace("|", "\\|")
    if not line:
        return ""
    ticks = "`" * (_longest_run_of_ticks(line) + 1)
    return f"{ticks} {line} {ticks}" if "`" in line else f"{ticks}{line}{ticks}"


def _fenced(text: str) -> str:
    fence = "`" * max(3, _longest_run_of_ticks(text) + 1)
    return f"{fence}text\n{text}\n{fence}"


def _longest_run_of_ticks(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
