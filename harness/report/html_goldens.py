"""Goldens as the page shows them: the word on each, and how far the run is from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.report.drift import PREFIX
from harness.report.html_checks import Mark
from harness.report.html_figures import Figure, drift_figure
from harness.report.scale import number
from harness.report.statuses import BY_URGENCY
from harness.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.report.drift import Drift
    from harness.report.model import RunReport
    from harness.result import Result, Status


@dataclass(frozen=True)
class GoldenShown:
    """One golden: its checks by status, the differences in words, and their picture where there is any."""

    recipe: str
    checks: list[tuple[Mark, list[str]]]
    said: str
    figure: Figure | None


def goldens_shown(run: RunReport) -> list[GoldenShown]:
    """Every recipe that was held against a golden."""
    found = []
    for recipe, results in run.recipes.items():
        checks = _checks(one for one in results if one.check.startswith(PREFIX))
        if checks:
            drift = run.drifts.get(recipe)
            figure = drift_figure(drift) if drift and not drift.why and drift.steps else None
            found.append(GoldenShown(recipe, checks, drift_said(drift), figure))
    return found


def _checks(results: Iterable[Result]) -> list[tuple[Mark, list[str]]]:
    """What was held against the golden, by status, the most urgent first."""
    groups: dict[Status, list[str]] = {}
    for one in sorted(results, key=lambda one: BY_URGENCY.index(one.status)):
        groups.setdefault(one.status, []).append(one.check.removeprefix(PREFIX))
    return [(Mark.of(status), names) for status, names in groups.items()]


def drift_said(drift: Drift | None) -> str:
    """The differences in one sentence."""
    if drift is None:
        return "How far the run is from it is not known."
    if drift.why:
        return drift.why
    apart = max(drift.parted, default=0)
    loss = max((value for value in drift.loss if value is not None), default=None)
    if not apart and not loss and not drift.last:
        return f"The run is equal to it, bit for bit, over {count(len(drift.steps), 'step')}."
    parts = ["There is no loss to compare" if loss is None else f"Losses differ by at most {number(loss)}"]
    parts.append(f"{apart} of {count(drift.tensors, 'tensor')} have other bits")
    if drift.last is not None:
        at = f", in {drift.where}" if drift.where else ""
        parts.append(f"the last weights differ by at most {number(drift.last)}{at}")
    return f"{'; '.join(parts)}."
