"""How findings name things: few examples, and how many more there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def listed(names: Iterable[str], limit: int = 3) -> str:
    """`a, b, c and 5 more`."""
    names = list(names)
    shown = ", ".join(names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown


def count(number: int, noun: str) -> str:
    """`1 parameter`, `2 parameters`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def by_component(pairs: Iterable[tuple[str, str]]) -> dict[str, Sequence[str]]:
    """Names grouped by component, in order of first appearance."""
    groups: dict[str, list[str]] = {}
    for component, name in pairs:
        groups.setdefault(component, []).append(name)
    return dict(groups)
