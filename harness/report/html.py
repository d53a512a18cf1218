"""A report as one HTML page without external assets: it needs no network, and can be read without scripts."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from harness.report.alignments import ALIGNMENT, shown
from harness.report.html_checks import Mark, Reasons, recipes_shown, tally
from harness.report.html_compat import compat_shown
from harness.report.html_figures import Drawn, drawn
from harness.report.html_goldens import goldens_shown
from harness.report.statuses import BY_URGENCY, counted
from harness.report.text import fact, printable
from harness.result import Status

if TYPE_CHECKING:
    from jinja2 import Template

    from harness.report.comparison import Comparison, RecipeChange
    from harness.report.html_checks import RecipeShown, Shown
    from harness.report.model import RunReport

MOST_NAMES = 500  # of one list; more are counted
_FOLDER = "page"


@dataclass(frozen=True)
class RateRow:
    """How fast the training of a recipe went, and its share of the fastest, from 0 to 100."""

    recipe: str
    number: int
    seconds: str
    steps: str
    samples: str
    share: int
    of_bare: int | None = None
    least: int | None = None


def to_html(run: RunReport) -> str:
    """The whole report as one page; the same report gives the same page, byte for byte."""
    reasons = Reasons()
    recipes = recipes_shown(run, reasons)
    counts = run.summary.overall
    checks = sorted({result.check for result in run.results})
    script = resources.files("harness.report").joinpath(_FOLDER, "page.js").read_text(encoding="utf-8")
    return _template().render(
        title=run.title,
        verdict=run.summary.verdict,
        failed=run.summary.failed,
        counts=tally(counts),
        script=Markup(script),  # our own, and the only one that the page allows itself
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        recipes=recipes,
        suites=sorted({recipe.suite for recipe in recipes if recipe.suite}),
        failures=_failures(recipes),
        failing=counts.failing,
        drawn={recipe.name: _drawn(run, recipe.name) for recipe in recipes},
        rates=_rates(run, recipes),
        checks=checks,
        head=min(14, round(2 + 0.42 * max(map(len, checks), default=0), 1)),  # room for the longest name, upright
        reasons=reasons.texts,
        legend=[Mark.of(status) for status in BY_URGENCY if counts[status]],
        statuses=[(Mark.of(status), counted(status, counts[status])) for status in BY_URGENCY if counts[status]],
        legend_passed=Mark.of(Status.PASSED),
        comparison=run.comparison,
        most_names=MOST_NAMES,
        changed=[(one.recipe, one.before, one.after, True) for one in _changed(run.comparison)],
        not_judged=run.not_judged,
        interrupted=run.interrupted,
        unused=run.unused,
        off=[one.text for one in run.summary.off],
        coverage=run.coverage,
        goldens=goldens_shown(run),
        compat=compat_shown(run.compat) if run.compat else None,
        alignments=[(name, shown(before), shown(after), False) for name, (before, after) in run.alignments.items()],
        alignment_title=ALIGNMENT,
        environment=[(name, fact(value)) for name, value in run.environment.items()],
    )


def _changed(comparison: Comparison | None) -> tuple[RecipeChange, ...]:
    return (comparison.total, *comparison.changed) if comparison and comparison.total else ()


def _failures(recipes: list[RecipeShown]) -> list[Shown]:
    return [shown for recipe in recipes for shown in recipe.full if shown.failing]


def _drawn(run: RunReport, recipe: str) -> Drawn | None:
    """Nothing where no run of the report has left a trace: then no recipe need say so."""
    return drawn(run.evidence.get(recipe)) if run.evidence else None


def _rates(run: RunReport, recipes: list[RecipeShown]) -> list[RateRow]:
    """The fastest in samples is the measure of the bars."""
    found = [(one, held.speed) for one in recipes if (held := run.evidence.get(one.name)) and held.speed]
    most = max((speed.samples_per_second for _, speed in found), default=0.0) or 1.0
    return [
        RateRow(
            one.name,
            one.number,
            f"{speed.seconds:.2f}",
            f"{speed.steps_per_second:.1f}",
            f"{speed.samples_per_second:.1f}",
            round(100 * speed.samples_per_second / most),
            None if speed.of_bare is None else round(100 * speed.of_bare),
            None if speed.least is None else round(100 * speed.least),
        )
        for one, speed in found
    ]


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("harness.report", _FOLDER),
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
