"""Reads of a trace what a report draws. What it lacks is not drawn; one that is damaged says so and breaks nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.checks.expected import gets_gradient, should_train
from harness.checks.paced import PACED, pace_of
from harness.intent import Intent
from harness.places import folder_name
from harness.recipe.budgets import Throughput
from harness.refusal import Refused
from harness.report.evidence import Evidence, Part, Speed, Values
from harness.trace.parameter import Parameter
from harness.trace.reader import Record, Trace, read_trace

_MOMENTS = ("optimizer", "unscale", "backward")  # the first that a trace has: what the optimizer saw says most
_SHORTEST = 1e-6  # seconds: no training was faster, and a rate of anything less says nothing
_DAMAGE = (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError)


def evidence(folders: Iterable[Path], recipes: Iterable[str]) -> dict[str, Evidence]:
    """What there is to draw of each recipe whose trace lies in one of the folders."""
    folders = list(folders)
    found: dict[str, Evidence] = {}
    for recipe in recipes:
        place = Path("runs", folder_name(recipe), "trace")
        there = next((folder / place for folder in folders if (folder / place / "header.json").exists()), None)
        if there is not None:
            found[recipe] = _beside(_of(there), there.parents[1] / folder_name(f"{recipe}@{PACED}") / "trace")
    return found


def _beside(found: Evidence, timed: Path) -> Evidence:
    """With what the timed run beside it came to, if there is one that came so far."""
    if found.speed is None or not (timed / "header.json").exists():
        return found
    try:
        trace = read_trace(timed)
        pace = pace_of(trace)
        least = float(trace.header["recipe"]["budget"]["throughput"].get("of_bare", Throughput().of_bare))
    except (Refused, OSError, *_DAMAGE):
        return found
    return replace(found, speed=replace(found.speed, of_bare=pace.of_bare.middle, least=least))


def _of(directory: Path) -> Evidence:
    try:
        return evidence_of(read_trace(directory))
    except Refused as refused:
        return Evidence(why=f"The trace cannot be read: {refused.what}")
    except OSError as error:
        return Evidence(why=f"The trace cannot be read: {error.strerror or type(error).__name__}")
    except _DAMAGE:
        return Evidence(why="The trace contradicts itself, so nothing is drawn of it.")


def evidence_of(trace: Trace) -> Evidence:
    """What there is to draw of a trace."""
    steps = tuple(step["step"] for step in trace.steps)
    moment = next((name for name in _MOMENTS if trace.gradients(name)), "")
    return Evidence(
        steps=steps,
        skipped=tuple(step["step"] for step in trace.steps if step["skipped"]),
        loss=losses(trace, steps),
        norms=_norms(trace, steps, moment) if moment else {},
        moment=moment,
        parts=tuple(_parts(trace)),
        speed=_speed(trace),
    )


def losses(trace: Trace, steps: Iterable[int]) -> Values:
    """The mean loss of each step's micro-batches, over all processes: the model's own, or what the trainer computed."""
    seen: dict[int, list[float]] = {}
    for event in (event for one in trace.ranks for kind in ("forward", "backward") for event in one.of(kind)):
        if event.get("loss") is not None and event.get("training", True):
            seen.setdefault(event["step"], []).append(float(event["loss"]))
    return tuple(_mean(seen[step]) if step in seen else None for step in steps)


def _norms(trace: Trace, steps: Iterable[int], moment: str) -> dict[str, Values]:
    """The norm of each component's gradient at each step."""
    by_step = {event["step"]: event["norm"] for event in trace.gradients(moment)}
    of: dict[str, list[int]] = {}
    for parameter in trace.parameters:
        of.setdefault(parameter.component, []).append(parameter.index)
    found = {
        component: tuple(_length(by_step.get(step), indices) for step in steps) for component, indices in of.items()
    }
    return {component: values for component, values in found.items() if any(value is not None for value in values)}


def _length(norms: list[Any] | None, indices: Iterable[int]) -> float | None:
    parts = [float(norms[index]) for index in indices if norms[index] is not None] if norms is not None else []
    return math.hypot(*parts) if parts else None


def _parts(trace: Trace) -> Iterator[Part]:
    """Every component, in the model's order."""
    recorded = trace.header.get("intent")
    try:
        intent = Intent.model_validate(recorded) if recorded else None
    except ValidationError:
        intent = None
    of: dict[str, list[Parameter]] = {}
    for parameter in trace.parameters:
        of.setdefault(parameter.component, []).append(parameter)
    for component, parameters in of.items():
        yield _part(component, parameters, intent, bool(trace.effective_steps))


def _part(component: str, parameters: list[Parameter], intent: Intent | None, stepped: bool) -> Part:
    to_train = [p for p in parameters if (should_train(intent, p) if intent else p.requires_grad)]
    chosen = {p.index for p in to_train}
    to_stay = [p for p in parameters if p.index not in chosen]
    reached = [p for p in to_train if intent is None or gets_gradient(intent, p)]
    moved, strayed = sum(p.moved for p in reached), sum(p.moved for p in to_stay)
    wrong = [f"{strayed} moved though frozen"] if strayed else []
    if reached and not moved and stepped:
        wrong.append("asked to train, nothing moved")
    return Part(
        component,
        parameters=sum(p.size for p in parameters),
        asked=_asked(to_train, to_stay, intent),
        to_move=len(reached),
        moved=moved,
        to_stay=len(to_stay),
        moved_though_frozen=strayed,
        wrong="; ".join(wrong),
    )


def _asked(to_train: list[Parameter], to_stay: list[Parameter], intent: Intent | None) -> str:
    own = [p for p in to_train if p.role != "adapter"]
    frozen_own = any(p.role == "base" for p in to_stay)
    words = ["adapter"] if len(own) < len(to_train) else []
    if own:
        words.append("trains in part" if frozen_own else "trains")
    said = " + ".join(words) or "frozen"
    return said if intent else f"{said} (by requires_grad: no intent recorded)"


def _speed(trace: Trace) -> Speed | None:
    seconds: Record = trace.measured.get("seconds") or {}
    took = float(seconds.get("train") or 0)
    forwards = (event for one in trace.ranks for event in one.of("forward") if event.get("training"))
    samples = sum(len(event.get("samples") or event.get("lengths") or ()) for event in forwards)
    return Speed(took, len(trace.steps), samples) if _SHORTEST < took < math.inf and trace.steps else None


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
