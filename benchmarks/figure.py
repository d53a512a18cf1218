"""One measured figure and the bound it must keep."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """The median of repeated measurements, with their spread; `bound` is the most it may be, or none where it is only
    to be known."""

    name: str
    values: Sequence[float]
    unit: str
    bound: float | None

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def holds(self) -> bool:
        return self.bound is None or self.median <= self.bound

    def line(self) -> str:
        spread = f"{min(self.values):.3g} to {max(self.values):.3g}"
        verdict = ("ok" if self.holds else "MISSED") if self.bound is not None else ""
        most = f"at most {self.bound:g}; " if self.bound is not None else ""
        return f"{verdict:6}  {self.name}: {self.median:.3g} {self.unit} ({most}{spread})"

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "median": round(self.median, 4),
            "min": round(min(self.values), 4),
            "max": round(max(self.values), 4),
            "unit": self.unit,
            "bound": self.bound,
            "holds": self.holds,
        }
