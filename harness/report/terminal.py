"""Plain text for the terminal, as the run goes on and at its end. Colour only where it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.fields import result_lines
from harness.report.statuses import FAILING, counted, heading
from harness.report.summary import Counts
from harness.report.text import duration, one_line
from harness.result import Status
from harness.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.recipe.covering.coverage import Coverage
    from harness.report.summary import Summary
    from harness.result import Result

_GAP = " " * 4
_MOST = 40  # lines of one kind at the end of a run
_RED, _GREEN, _YELLOW, _DIM, _BOLD_RED, _BOLD_GREEN, _BOLD_YELLOW = (
    "31",
    "32",
    "33",
    "2",
    "1;31",
    "1;32",
    "1;33",
)


def recipe_line(recipe: str, results: Sequence[Result], seconds: float | None, *, colour: bool = False) -> str:
    """One line for one recipe: its checks counted by status, and how long it took."""
    counts = Counts.of(results)
    name = one_line(recipe)
    parts = [name, f"{count(counts.total, 'check')}: {_coloured_counts(counts, colour)}"]
    if not counts.total:
        parts = [name, "no checks"]
    if seconds is not None:
        parts.append(duration(seconds))
    return _GAP.join(parts)


def failure_block(result: Result, again: str = "", *, colour: bool = False) -> str:
    """What a result says, field by field; its first word is the status."""
    code = _BOLD_RED if result.status in FAILING else _BOLD_YELLOW
    title = f"{_painted(heading(result.status), code, colour)}  {one_line(result.check)}"
    fields = result_lines(result, again, lambda name: _painted(name, _DIM, colour))
    return "\n".join([title, *fields])


def closing_lines(summary: Summary, *, colour: bool = False) -> str:
    """The end of a run: what failed it and is no result, all counts, the verdict."""
    unfinished = () if summary.interrupted else summary.not_judged
    wrong = (("MISSING", summary.missing), ("UNUSED", summary.unused), ("NOT JUDGED", unfinished))
    lines = [
        f"{_painted(title, _BOLD_RED, colour)}  {text}"
        for title, names in wrong
        for text in _some(map(one_line, names))
    ]
    lines += [f"{_painted('OFF', _YELLOW, colour)}  {one_line(one.text)}" for one in summary.off]
    lines += [line for covered in summary.coverage for line in _covered(covered, colour)]
    if summary.overall.total:
        where = f"{count(summary.overall.total, 'check')} of {count(len(summary.recipes), 'recipe')}"
        lines.append(f"{where}: {_coloured_counts(summary.overall, colour)}")
    lines.append(_painted(summary.verdict, _BOLD_RED if summary.failed else _BOLD_GREEN, colour))
    return "\n".join(lines)


def _covered(covered: Coverage, colour: bool) -> list[str]:
    """What a covering suite covers, and by which rules the rest cannot be."""
    title = _painted("COVERED", _GREEN if covered.whole else _YELLOW, colour)
    refused = _some(f"         {number:>5} by {one_line(rule)}" for rule, number in covered.refused)
    return [f"{title}  {one_line(covered.recipe)}: {covered.text}", *refused]


def _some(texts: Iterable[str]) -> list[str]:
    """The first of many, and how many there are beside them: a screen has an end, and reports have all."""
    held = list(texts)
    more = len(held) - _MOST
    return [*held[:_MOST], f"and {more} more, in the reports"] if more > 1 else held


def _coloured_counts(counts: Counts, colour: bool) -> str:
    return ", ".join(_painted(counted(status, counts[status]), _code(status), colour) for status in counts.occurring)


def _code(status: Status) -> str:
    if status in FAILING:
        return _RED
    return {Status.PASSED: _GREEN, Status.WARNED: _YELLOW, Status.KNOWN_FAILURE: _YELLOW}.get(status, _DIM)


def _painted(text: str, code: str, colour: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if colour else text
