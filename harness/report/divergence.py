"""Where two traces part ways, as text: the verdict, the first point of divergence, and every field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.comparator import Verdict

if TYPE_CHECKING:
    from harness.comparator import Comparison, FieldComparison, Tolerance

_SAID = {
    Verdict.EQUAL: "The two runs are equal, bit for bit.",
    Verdict.WITHIN_TOLERANCE: "The two runs agree within their tolerances.",
    Verdict.DIFFERENT: "The two runs are different.",
    Verdict.NOT_COMPARABLE: "The two runs are not comparable: they are of different experiments.",
}
_NAME = 10


def divergence_lines(found: Comparison) -> Iterator[str]:
    """What is to be said of a comparison before its table."""
    yield _SAID[found.verdict]
    yield from _titled("because", found.reasons)
    yield from _titled("first", [str(found.first)] if found.first else [])
    yield from _titled("allowed", [found.tolerances] if found.fields else [])
    yield from _titled("around", found.environment)
    yield from _titled("renamed", found.renamed)
    yield from _titled("left out", [", ".join(f.field for f in found.fields if f.left_out)] if _lax(found) else [])


def divergence_table(found: Comparison) -> list[tuple[str, ...]]:
    """A row per field: how many values, how many beyond, the largest difference and where, and what is allowed."""
    head = ("field", "values", "beyond", "largest", "where", "allowed")
    compared = [field for field in found.fields if field.tolerance]
    return [head, *map(_row, compared)] if compared else []


def origins(found: Comparison) -> list[str]:
    """Where the tolerances come from, each once."""
    tolerances = [field.tolerance for field in found.fields if field.tolerance]
    return list(dict.fromkeys(one.origin for one in tolerances if _allowed(one) != "none"))


def _titled(title: str, lines: tuple[str, ...] | list[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield f"  {(title if number == 0 else '').ljust(_NAME)}{line}"


def _lax(found: Comparison) -> bool:
    return any(field.left_out for field in found.fields)


def _row(field: FieldComparison) -> tuple[str, ...]:
    if field.tolerance is None:
        return (
            field.field,
            "",
            str(field.beyond or ""),
            "",
            "",
            "left out: digests of bits, or numbers that say nothing",
        )
    largest = field.largest
    size = "" if largest is None else largest.kind if largest.absolute is None else f"{largest.absolute:.3g}"
    where = str(largest.place) if largest else ""
    return (field.field, str(field.compared), str(field.beyond or ""), size, where, _allowed(field.tolerance))


def _allowed(tolerance: Tolerance) -> str:
    parts = [
        f"{share:.3g} {of}".strip()
        for share, of in (
            (tolerance.absolute, ""),
            (tolerance.relative, "of the largest"),
            (tolerance.reach, "of the steps' rates"),
        )
        if share
    ]
    return " + ".join(parts) or "none"
