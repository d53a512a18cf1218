"""Two traces, observation by observation. Every point counts: no mean hides one that is far off."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.comparator.comparison import Comparison, Difference, FieldComparison, Verdict
from harness.comparator.experiments import environments, unlike
from harness.comparator.observed import STAGES, Observed, Place, observations
from harness.comparator.renamings import renamings
from harness.comparator.tolerances import BITWISE, GRADIENTS, Tolerance, Tolerances, across_stacks

if TYPE_CHECKING:
    from harness.trace.reader import Trace

MISSING = "not seen"
OVERFLOWING = ("norm that was clipped", "value of backward")
_Joined = list[tuple[Observed | None, Observed | None]]


def compare(
    one: Trace,
    other: Trace,
    tolerances: Tolerances | None = None,
    fields: Collection[str] | None = None,
    may_differ: Collection[str] = (),
    by_step: bool = False,
) -> Comparison:
    """Compare two traces in all fields, or some: within tolerances; without any named, bit for bit where both were made
    in the same environment, else as far as other kernels may lead.

    `may_differ` are settings of the recipe, by dotted name, in which the two are meant to differ: any other difference
    between recipes, data or models makes them `not_comparable`. With `by_step`, what is seen once in a step is compared
    whatever the number of the micro-batch was.
    """
    around, renamed = tuple(environments(one, other)), tuple(renamings(one, other))
    tolerances = tolerances or (across_stacks(one, other) if around else BITWISE)
    reasons = tuple(unlike(one, other, may_differ)) or _nothing_trained(one, other)
    if reasons:
        return Comparison(Verdict.NOT_COMPARABLE, tolerances.name, reasons, environment=around, renamed=renamed)
    overflowed = _skipped_in_both(one, other)
    joined = [
        pair
        for pair in _joined(observations(one), observations(other), by_step)
        if (fields is None or _place(pair).field in fields) and not _overflows(pair, overflowed)
    ]
    renumbered = [] if fields is not None and "steps" not in fields else list(_steps(one, other))
    judged = list(_by_field(joined, tolerances, max(_reach(one), _reach(other))))
    found = sorted((*renumbered, *(d for _, differences in judged for d in differences)), key=_when)
    table = tuple(field for field, _ in judged)
    equal = all(field.largest is None and not field.left_out for field in table) and not renumbered
    verdict = Verdict.DIFFERENT if found else Verdict.EQUAL if equal else Verdict.WITHIN_TOLERANCE
    return Comparison(verdict, tolerances.name, (), tuple(found), table, around, renamed)


def compare_observed(
    one: Iterable[Observed], other: Iterable[Observed], tolerances: Tolerances
) -> tuple[tuple[FieldComparison, ...], tuple[Difference, ...]]:
    """Compare what was seen of two things, place by place: each field, and what is beyond its tolerance."""
    judged = list(_by_field(_joined(one, other), tolerances, 0.0))
    found = sorted((difference for _, differences in judged for difference in differences), key=_when)
    return tuple(field for field, _ in judged), tuple(found)


def _nothing_trained(one: Trace, other: Trace) -> tuple[str, ...]:
    empty = [str(trace.directory) for trace in (one, other) if not trace.steps]
    return tuple(f"no optimizer step was seen in {name}" for name in empty)


def _reach(trace: Trace) -> float:
    """How far the optimizer can have moved an element: the sum of its rates, the largest of each step. Of steps that
    another process took before, the rate that was asked for."""
    intent = trace.header.get("intent") or {}
    asked = intent.get("optimization") or {}
    full: float = max([asked.get("learning_rate", 0.0), *(asked.get("component_rates") or {}).values()])
    before: float = intent.get("effective_before", 0) * full * max([1.0, *(asked.get("rate_factors") or {}).values()])
    return before + sum(max(map(float, step["lr"]), default=0.0) for step in trace.effective_steps)


def _skipped_in_both(one: Trace, other: Trace) -> set[int]:
    first, second = ({int(step["step"]) for step in trace.steps if step["skipped"]} for trace in (one, other))
    return first & second


def _overflows(pair: tuple[Observed | None, Observed | None], skipped: Collection[int]) -> bool:
    """Gradients that are not finite on either side, in a step that both skipped for just that."""
    place = _place(pair)
    if place.step not in skipped or not (place.field in OVERFLOWING or place.field in GRADIENTS):
        return False
    values = [seen.value if seen else None for seen in pair]
    return all(isinstance(value, float) and not math.isfinite(value) for value in values)


def _joined(one: Iterable[Observed], other: Iterable[Observed], by_step: bool = False) -> _Joined:
    """The observations of both by place, in the order of the first; what only the second has comes after."""
    first, second = ({_at(seen, by_step): seen for seen in observed} for observed in (one, other))
    places = [*first, *(place for place in second if place not in first)]
    return [(first.get(place), second.get(place)) for place in places]


def _at(seen: Observed, by_step: bool) -> Place:
    return replace(seen.place, micro=None) if by_step else seen.place


def _place(pair: tuple[Observed | None, Observed | None]) -> Place:
    one = pair[0] or pair[1]
    assert one is not None
    return one.place


def _steps(one: Trace, other: Trace) -> Iterator[Difference]:
    """Steps that one has and the other has not, and steps that bear other numbers."""
    first, second = ([int(step["step"]) for step in trace.steps] for trace in (one, other))
    if first == second:
        return
    extra = sorted(set(first) ^ set(second))
    kind = "renumbered steps" if len(first) == len(second) else "missing steps"
    at = Place("training", "steps", extra[0] if extra else first[0])
    yield Difference(kind, at, None, _numbers(first), _numbers(second))


def _numbers(steps: list[int]) -> str:
    return f"{len(steps)} steps: {', '.join(map(str, steps[:8]))}{' …' if len(steps) > 8 else ''}"


def _by_field(
    joined: _Joined, tolerances: Tolerances, reach: float
) -> Iterator[tuple[FieldComparison, list[Difference]]]:
    """Each field of the joined observations, with what is beyond its tolerance."""
    groups: dict[str, _Joined] = {}
    for pair in joined:
        groups.setdefault(_place(pair).field, []).append(pair)
    for field, pairs in groups.items():
        tolerance = tolerances.tolerance(field)
        if tolerance is None:
            alone = [difference for pair in pairs if (difference := _one_sided(*pair))]
            yield FieldComparison(field, 0, len(alone), None, None), alone
            continue
        limits = _Limits(tolerance, reach, _scales(pairs) if field in GRADIENTS else {})
        apart = [found for pair in pairs if (found := _apart(*pair, limits))]
        largest = max((difference for difference, _ in apart), key=_size, default=None)
        beyond = [difference for difference, is_beyond in apart if is_beyond]
        yield FieldComparison(field, len(pairs), len(beyond), tolerance, largest), beyond


def _scales(pairs: _Joined) -> dict[tuple[int | None, int | None], float]:
    """The largest finite number of each step and micro-batch."""
    found: dict[tuple[int | None, int | None], float] = {}
    for seen in (one for pair in pairs for one in pair if one and isinstance(one.value, float)):
        if math.isfinite(size := abs(float(seen.value))):  # type: ignore[arg-type]
            at = (seen.place.step, seen.place.micro)
            found[at] = max(found.get(at, 0.0), size)
    return found


@dataclass(frozen=True)
class _Limits:
    """How far the values of a field may be apart, given how far the optimizer reaches and the scale of each step."""

    tolerance: Tolerance
    reach: float
    scales: dict[tuple[int | None, int | None], float]

    def exceeded(self, place: Place, apart: float, scale: float) -> bool:
        whole = self.scales.get((place.step, place.micro), scale)
        return not self.tolerance.allows(apart, whole, self.reach, place.step)


def _size(difference: Difference) -> float:
    """For ordering: what has no size is larger than anything."""
    return math.inf if difference.absolute is None else difference.absolute


def _one_sided(one: Observed | None, other: Observed | None) -> Difference | None:
    if one is not None and other is not None:
        return None
    here = one or other
    assert here is not None
    first, second = (MISSING if seen is None else _shown(seen.value) for seen in (one, other))
    return Difference("missing", here.place, here.component, first, second)


def _apart(one: Observed | None, other: Observed | None, limits: _Limits) -> tuple[Difference, bool] | None:
    """The difference of a pair, if there is any, and whether it is beyond the tolerance."""
    if one is None or other is None:
        alone = _one_sided(one, other)
        assert alone is not None
        return alone, True
    first, second = one.value, other.value
    if isinstance(first, np.ndarray):
        return _arrays(one, first, second, limits)
    if isinstance(first, float) and isinstance(second, float):
        return _floats(one, first, second, limits)
    if first != second:
        return Difference("different", one.place, one.component, _shown(first), _shown(second)), True
    return None


def _floats(at: Observed, first: float, second: float, limits: _Limits) -> tuple[Difference, bool] | None:
    if not (math.isfinite(first) and math.isfinite(second)):
        differs = first != second  # nan is not even itself
        return (
            (Difference("not finite", at.place, at.component, f"{first:g}", f"{second:g}"), True) if differs else None
        )
    apart, scale = abs(first - second), max(abs(first), abs(second))
    if not apart:
        return None
    shown = (f"{first:.9g}", f"{second:.9g}")
    difference = Difference("different", at.place, at.component, *shown, apart, apart / scale)
    return difference, limits.exceeded(at.place, apart, scale)


def _arrays(at: Observed, first: Any, second: Any, limits: _Limits) -> tuple[Difference, bool] | None:
    """The largest difference of two arrays, against the largest value in them."""
    if first.shape != second.shape:
        shapes = (f"shape {list(first.shape)}", f"shape {list(second.shape)}")
        return Difference("other shape", at.place, at.component, *shapes), True
    wide = [np.asarray(values, np.float64) for values in (first, second)]
    if not all(np.isfinite(values).all() for values in wide):
        lost = (f"{(~np.isfinite(wide[0])).sum()} not finite", f"{(~np.isfinite(wide[1])).sum()} not finite")
        return Difference("not finite", at.place, at.component, *lost), True
    gaps = np.abs(wide[0] - wide[1])
    if not gaps.any():
        return None
    where = int(gaps.argmax())
    apart, scale = float(gaps.flat[where]), float(max(np.abs(values).max() for values in wide))
    shown = (f"{wide[0].flat[where]:.9g} at element {where}", f"{wide[1].flat[where]:.9g} at element {where}")
    difference = Difference("different", at.place, at.component, *shown, apart, apart / scale)
    return difference, limits.exceeded(at.place, apart, scale)


def _shown(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"values of shape {list(value.shape)}"
    text = str(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= 80 else text[:77] + "…"


def _when(difference: Difference) -> tuple[int, int, int]:
    """Runs happen stage by stage, step by step. A stage has steps or none; what is of a whole step was put first."""
    place = difference.place
    return STAGES.index(place.stage), place.step or 0, place.micro or 0
