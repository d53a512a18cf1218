"""Numbers as places on an axis: round ticks, straight or logarithmic."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_MOST_TICKS = 4
_LEAST = 0.05  # of the largest value: the length of a straight axis


@dataclass(frozen=True)
class Scale:
    """An axis from `low` to `high`; a logarithmic one has exponents of ten there."""

    low: float
    high: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """How far up the axis a value lies, from 0 to 1."""
        at = math.log10(value) if self.logarithmic else value
        return (at - self.low) / (self.high - self.low)


def scale_of(values: Iterable[float]) -> Scale:
    """An axis that holds all values, which are finite, between round ticks. It is never so short that its ticks read
    alike, and that a trifle looks like a change."""
    values = list(values) or [0.0, 1.0]
    low, high = min(values), max(values)
    least = _LEAST * max(abs(low), abs(high)) or 1.0
    if high - low < least:
        low, high = (low + high - least) / 2, (low + high + least) / 2
    step = _step(high - low)
    first, last = math.floor(low / step), math.ceil(high / step)
    return Scale(first * step, last * step, tuple(number * step for number in range(first, last + 1)))


def log_scale_of(values: Iterable[float]) -> Scale:
    """A logarithmic axis that holds all values, which are finite and above zero, between powers of ten."""
    exponents = [math.log10(value) for value in values]
    if not exponents:
        return Scale(-1.0, 0.0, (), logarithmic=True)
    low, high = math.floor(min(exponents)), math.ceil(max(exponents))
    high = max(high, low + 1)
    every = -(-(high - low) // _MOST_TICKS)
    return Scale(low, high, tuple(10.0**number for number in range(low, high + 1, every)), logarithmic=True)


def number(value: float) -> str:
    """As short as it can be read: `0`, `0.31`, `6.54`, `1.2e-07`."""
    return f"{value:.3g}" if value else "0"


def listed_numbers(values: Sequence[float | None], most: int = 12) -> str:
    """Values in words, the last of many left out."""
    said = ["none" if value is None else number(value) for value in values[:most]]
    return ", ".join(said) + (f" and {len(values) - most} more" if len(values) > most else "")


def _step(room: float) -> float:
    """A round step of which at most a few make up the room."""
    rough = room / _MOST_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in _STEPS if step * power >= rough * (1 - 1e-9))
