"""What comes of comparing two traces: a verdict, field by field, and where they first part ways."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from harness.comparator.observed import Place
from harness.comparator.tolerances import Tolerance


class Verdict(str, Enum):
    """One word about two traces. `within_tolerance` is agreement where bits may differ."""

    EQUAL = "equal"
    WITHIN_TOLERANCE = "within_tolerance"
    DIFFERENT = "different"
    NOT_COMPARABLE = "not_comparable"

    @property
    def agrees(self) -> bool:
        return self in (Verdict.EQUAL, Verdict.WITHIN_TOLERANCE)


@dataclass(frozen=True)
class Difference:
    """Two traces that disagree at one place: what kind of disagreement, what each has, and how far apart.

    `absolute` and `relative` (to the larger of the two) are None where a difference has no size.
    """

    kind: str
    place: Place
    component: str | None
    first: str
    second: str
    absolute: float | None = None
    relative: float | None = None

    def __str__(self) -> str:
        by = "" if self.absolute is None else f", off by {self.absolute:.3g}"
        by += "" if self.relative is None else f" ({self.relative:.3g} of the larger)"
        component = f" ({self.component})" if self.component else ""
        return f"{self.place.field} at {self.place}{component}: {self.kind}: {self.first} and {self.second}{by}"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "place": str(self.place), "field": self.place.field, "step": self.place.step}


@dataclass(frozen=True)
class FieldComparison:
    """One field of two traces: how many values were compared, how many were beyond the tolerance, and the largest
    difference of all, those within it too."""

    field: str
    compared: int
    beyond: int
    tolerance: Tolerance | None
    largest: Difference | None

    @property
    def left_out(self) -> bool:
        return self.tolerance is None

    def to_json(self) -> dict[str, Any]:
        largest = self.largest.to_json() if self.largest else None
        tolerance = asdict(self.tolerance) if self.tolerance else None
        return {**asdict(self), "tolerance": tolerance, "largest": largest}


@dataclass(frozen=True)
class Comparison:
    """The verdict on two traces. `reasons` say why they cannot be compared, `environment` what differs around them,
    `renamed` what has other names in memory."""

    verdict: Verdict
    tolerances: str
    reasons: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    fields: tuple[FieldComparison, ...] = ()
    environment: tuple[str, ...] = ()
    renamed: tuple[str, ...] = ()

    @property
    def first(self) -> Difference | None:
        """The first point of divergence, in the order in which runs happen."""
        return next(iter(self.differences), None)

    def of(self, *fields: str) -> Iterator[Difference]:
        """The differences of some fields."""
        return (difference for difference in self.differences if difference.place.field in fields)

    def to_json(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict.value,
            "tolerances": self.tolerances,
            "reasons": list(self.reasons),
            "environment": list(self.environment),
            "renamed": list(self.renamed),
            "first": self.first.to_json() if self.first else None,
            "differences": [difference.to_json() for difference in self.differences],
            "fields": [field.to_json() for field in self.fields],
        }
