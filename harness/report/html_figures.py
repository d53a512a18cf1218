"""What the page draws of runs: losses and gradient norms, what moved of what was asked, and how fast they went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from harness.report.plot import Line, key, plot
from harness.report.scale import number
from harness.wording import count, joined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.report.drift import Drift
    from harness.report.evidence import Evidence, Part, Speed

_NORMS = {
    "": "Gradient norm by component",
    "optimizer": "Gradient norm by component, as the optimizer saw it",
    "unscale": "Gradient norm by component, unscaled",
    "backward": "Gradient norm by component, after backward",
}
NO_TRACE = "No trace of this recipe lies beside the results, so nothing is drawn of it."


@dataclass(frozen=True)
class Figure:
    """A picture with a title, a legend (sample and name of each line, if there are several) and what else is to say."""

    title: str
    picture: Markup
    legend: list[tuple[Markup, str]]
    note: str = ""


@dataclass(frozen=True)
class PartRow:
    """A component: asked and moved in words, and how much of it moved, from 0 to 100, where it was asked to."""

    component: str
    parameters: str
    asked: str
    moved: str
    share: int | None
    symbol: str
    verdict: str
    wrong: bool


@dataclass(frozen=True)
class Drawn:
    """Of one recipe. `why` says what keeps it from being drawn."""

    why: str
    figures: list[Figure]
    parts: list[PartRow]
    speed: str


def drawn(found: Evidence | None) -> Drawn:
    """Of a recipe's evidence, or of the lack of any."""
    if found is None or found.why:
        return Drawn(found.why if found else NO_TRACE, [], [], "")
    figures = [
        _figure("Loss", found.steps, {"loss": found.loss}, _skipped(found.skipped), none="no loss was recorded"),
        _figure(_NORMS[found.moment], found.steps, found.norms, none="no gradient was recorded"),
    ]
    return Drawn("", figures, [_row(part) for part in found.parts], speed_text(found.speed))


def drift_figure(drift: Drift) -> Figure:
    """How far a run is from its golden, step by step."""
    lines = {"loss": drift.loss, "weights (largest difference of a tensor's rms)": drift.weights}
    none = "no step of the golden and the run can be compared"
    return _figure("Difference from the golden", drift.steps, lines, logarithmic=True, none=none)


def speed_text(speed: Speed | None) -> str:
    if speed is None:
        return ""
    rates = f"{number(speed.steps_per_second)} steps and {number(speed.samples_per_second)} samples per second"
    return f"{rates} over {number(speed.seconds)} s of training, recording included; {_budget(speed)}"


def _budget(speed: Speed) -> str:
    if speed.of_bare is None or speed.least is None:
        return "no budget stated"
    return f"{speed.of_bare:.0%} of a bare loop's speed, of which {speed.least:.0%} is the budget"


def _figure(
    title: str,
    steps: Sequence[int],
    lines: Mapping[str, tuple[float | None, ...]],
    note: str = "",
    *,
    logarithmic: bool = False,
    none: str,
) -> Figure:
    drawn_lines = [Line(name, values) for name, values in lines.items()]
    picture = Markup(plot(title, steps, drawn_lines, logarithmic=logarithmic))
    legend = [(Markup(key(index)), line.name) for index, line in enumerate(drawn_lines)]
    return Figure(
        title,
        picture,
        legend if picture and [title.lower()] != list(lines) else [],
        note if picture else f"Not drawn: {none}.",
    )


def _skipped(steps: Sequence[int]) -> str:
    return f"Skipped: {count(len(steps), 'step')} ({joined([str(step) for step in steps])})." if steps else ""


def _row(part: Part) -> PartRow:
    asked_some = part.to_move > 0
    strayed = f"{part.moved_though_frozen} of {part.to_stay}"
    moved = f"{part.moved} of {part.to_move} tensors" if asked_some else f"{strayed} tensors"
    if asked_some and part.moved_though_frozen:
        moved += f", and {strayed} frozen ones"
    partly = asked_some and part.moved < part.to_move
    verdict = part.wrong or ("partly" if partly else "as asked")
    return PartRow(
        component=part.component,
        parameters=f"{part.parameters:,}",
        asked=part.asked,
        moved=moved,
        share=round(100 * part.moved / part.to_move) if asked_some else None,
        symbol="✗" if part.wrong else "◐" if partly else "✓",
        verdict=verdict,
        wrong=bool(part.wrong),
    )
