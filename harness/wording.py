"""Layer 0. How messages count and list things: small phrases that every part says alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def count(number: int, noun: str) -> str:
    """`1 parameter`, `2,000 parameters`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def listed(names: Iterable[str], limit: int = 3) -> str:
    """The first few: `a, b, c and 5 more`."""
    names = list(names)
    shown = ", ".join(names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown


def joined(parts: Sequence[str]) -> str:
    """All of them: `a`, `a and b`, `a, b and c`."""
    *before, last = parts
    return f"{', '.join(before)} and {last}" if before else last


def by_component(pairs: Iterable[tuple[str, str]]) -> dict[str, Sequence[str]]:
    """Names grouped by component, in order of first appearance."""
    groups: dict[str, list[str]] = {}
    for component, name in pairs:
        groups.setdefault(component, []).append(name)
    return dict(groups)
