"""Between which of several measurements the true median lies, whatever the noise is like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import comb
from statistics import median

ALARM = 0.01
"""How often a bound may be wrong for measurements that do not depend on each other. They are not asked to follow any
law: a measurement is below its median half the time, and that is all that is used."""


@dataclass(frozen=True)
class Bounds:
    """Below and above the true median, each but for one case in a hundred or fewer."""

    low: float
    middle: float
    high: float

    def over(self, other: Bounds) -> Bounds:
        """Of the quotient, where each was found with half the alarms."""
        return Bounds(self.low / other.high, self.middle / other.middle, self.high / other.low)


def bounds(values: Sequence[float], alarm: float = ALARM) -> Bounds:
    """The order statistics that bound the true median. Raises ValueError for too few values to tell."""
    inside = outliers(len(values), alarm)
    if inside is None:
        raise ValueError(f"{len(values)} measurements bound no median with {alarm:g} false alarms")
    ordered = sorted(values)
    return Bounds(ordered[inside], median(ordered), ordered[-1 - inside])


@cache
def outliers(number: int, alarm: float) -> int | None:
    """How many measurements may lie outside a bound; None where not even all of them inside are enough.

    The bound is wrong if more than all but so many lie on one side of the median, each by the toss of a coin.
    """
    tail, found = 0.0, None
    for outside in range(number // 2):
        tail += comb(number, outside) / 2**number
        if tail > alarm:
            break
        found = outside
    return found
