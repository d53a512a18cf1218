"""A report in Markdown, in the manner of a release note, for a pull request or the summary page of a job."""

from __future__ import annotations

from collections import Counter
from textwrap import dedent
from typing import TYPE_CHECKING

from harness.report.alignments import ALIGNMENT, shown
from harness.report.comparison import NO_STATUSES
from harness.report.fields import result_lines
from harness.report.markdown_tables import compat_markdown, coverage_markdown, goldens_markdown
from harness.report.markdown_text import FOLDED_FROM, code, fenced, folded, names, plain, table
from harness.report.statuses import FAILING, heading, label
from harness.report.text import duration, fact
from harness.result import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from harness.report.comparison import Comparison
    from harness.report.model import RunReport
    from harness.report.summary import Counts
    from harness.result import Result

MOST_BYTES = 1 << 20  # of the summary page of a job: GitHub shows nothing of one that is larger
_MOST_IN_FULL = 400_000  # bytes of findings; what comes after them is named
_CUT = "The rest is left out: this page would be too large. It is in report.html and results.jsonl."
_MOST_ROWS = 2000  # recipes of the table; more are counted
_EXPLAINED = (Status.KNOWN_FAILURE, Status.NOT_COMPARABLE, Status.NOT_APPLICABLE)


def to_markdown(run: RunReport) -> str:
    """The whole report: verdict, comparison, failures, goldens and stacks, counts, reasons, environment."""
    sections = [
        f"# {plain(run.title)}",
        f"**{plain(run.summary.verdict)}**",
        *_comparison(run.comparison),
        *_results(run, "Failures", FAILING),
        *_results(run, "Warnings", (Status.WARNED,)),
        *goldens_markdown(run),
        *compat_markdown(run.compat),
        *_counts(run),
        *coverage_markdown(run.coverage),
        *_switched_off(run),
        *_reasons(run),
        *names(2, f"Recipes {'not run' if run.interrupted else 'that could not be judged'}", run.not_judged),
        *names(2, "Known failures that match nothing", run.unused),
        *_alignments(run),
        *_environment(run),
    ]
    return "\n\n".join(_that_fit(section for section in sections if section)) + "\n"


def _that_fit(sections: Iterable[str]) -> Iterator[str]:
    """The sections, the most telling first, as far as there is room for them."""
    room = MOST_BYTES - len(_CUT) - 3
    for section in sections:
        room -= len(section.encode()) + 2
        if room < 0:
            yield _CUT
            return
        yield section


def _counts(run: RunReport) -> list[str]:
    summary = run.summary
    statuses = summary.overall.occurring
    if not statuses:
        return []

    def row(name: str, counts: Counts, seconds: float | None) -> list[str]:
        numbers = [str(counts[status]) for status in statuses]
        return [name, *numbers, "" if seconds is None else duration(seconds)]

    chosen = sorted(summary.recipes.items(), key=lambda item: not item[1].failing)[:_MOST_ROWS]
    rows = [row(code(recipe), counts, run.seconds.get(recipe)) for recipe, counts in sorted(chosen)]
    more = [[f"and {len(summary.recipes) - _MOST_ROWS} more"]] if len(summary.recipes) > _MOST_ROWS else []
    total = row("all", summary.overall, sum(run.seconds.values()) if run.seconds else None)
    titles = ["recipe", *map(label, statuses), "time"]
    if len(rows) < FOLDED_FROM:
        return ["## Recipes", table(titles, [*rows, total], numbers=True)]
    every = table(titles, [*rows, *more], numbers=True)
    return ["## Recipes", table(titles, [total], numbers=True), folded(f"{len(summary.recipes)} recipes", every)]


def _results(run: RunReport, title: str, statuses: Sequence[Status]) -> list[str]:
    chosen = [
        result for status in statuses for group in run.recipes.values() for result in group if result.status is status
    ]
    sections, room = [], _MOST_IN_FULL
    for result in chosen:
        text = _result(result, run.command_for(result))
        room -= len(text.encode())
        if room < 0:
            break
        sections.append(text)
    rest = [f"{one.recipe}: {one.check}" for one in chosen[len(sections) :]]
    return [f"## {title}", *sections, *names(3, f"And {len(rest)} more", rest)] if chosen else []


def _result(result: Result, again: str) -> str:
    title = f"### {heading(result.status)} {code(result.check)} of {code(result.recipe)}"
    lines = dedent("\n".join(result_lines(result, again)))
    return f"{title}\n\n{fenced(lines)}" if lines else title


def _reasons(run: RunReport) -> list[str]:
    reasons = Counter((result.status, plain(result.reason)) for result in run.results if _explained(result))
    if not reasons:
        return []
    in_order = sorted(reasons.items(), key=lambda item: (_EXPLAINED.index(item[0][0]), item[0][1]))
    rows = [[label(status), reason, str(number)] for (status, reason), number in in_order[:_MOST_ROWS]]
    found = table(["status", "reason", "checks"], rows)
    return ["## Neither passed nor failed", found if len(rows) < FOLDED_FROM else folded(f"{len(rows)} reasons", found)]


def _explained(result: Result) -> bool:
    return result.status in _EXPLAINED and not result.switched_off


def _switched_off(run: RunReport) -> list[str]:
    """Apart from what did not apply: these are the users' own decisions, in their own words."""
    rows = [[code(one.check), str(one.recipes), plain(one.reason)] for one in run.summary.off]
    total = sum(one.recipes for one in run.summary.off)
    return [f"## Switched off by the suite ({total})", table(["check", "recipes", "reason"], rows)] if rows else []


def comparison_markdown(run: RunReport) -> str:
    """The comparison with the baseline alone, short enough for a comment on a pull request."""
    sections = [f"# {plain(run.title)}", f"**{plain(run.summary.verdict)}**", *_comparison(run.comparison)]
    return "\n\n".join(section for section in sections if section) + "\n"


def _comparison(comparison: Comparison | None) -> list[str]:
    """Before and after of all recipes together and of those that changed, the others counted; then the lists."""
    if comparison is None:
        return []
    changed = [*([comparison.total] if comparison.total else []), *comparison.changed[:_MOST_ROWS]]
    rows = [[one.recipe if one is comparison.total else code(one.recipe), one.before, one.after] for one in changed]
    return [
        "## Compared with the baseline",
        plain(comparison.verdict),
        table(["recipe", "before", "after"], rows, numbers=True) if rows else plain(NO_STATUSES),
        comparison.others,
        *(section for title, held in comparison.lists for section in names(3, title, held)),
    ]


def _alignments(run: RunReport) -> list[str]:
    rows = [[code(recipe), shown(before), shown(after)] for recipe, (before, after) in run.alignments.items()]
    found = table(["recipe", "before", "after"], rows, numbers=True)
    return [f"## {ALIGNMENT}", found] if rows else []


def _environment(run: RunReport) -> list[str]:
    rows = [[plain(name), code(fact(value))] for name, value in run.environment.items()]
    return ["## Environment", table(["fact", "value"], rows)] if rows else []
