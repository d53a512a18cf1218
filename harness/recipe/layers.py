"""Settings laid over settings: a recipe's own over the suite's defaults, a cell of the matrix over both."""

from __future__ import annotations

from typing import Any


def laid_over(below: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Settings with the values of a cell, each under its dotted key."""
    for key, value in values.items():
        below = merged(below, nested(key, value))
    return below


def has(settings: dict[str, Any], dotted: str) -> bool:
    head, _, rest = dotted.partition(".")
    if head not in settings:
        return False
    inside = settings[head]
    return not rest or not isinstance(inside, dict) or has(inside, rest)


def nested(dotted: str, value: Any) -> dict[str, Any]:
    head, _, rest = dotted.partition(".")
    return {head: nested(rest, value) if rest else value}


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`above` over `below`, mapping by mapping; everything else is replaced whole.

    `tune` is replaced whole too: a recipe that names what it trains does not mean the defaults' as well.
    """
    both = dict(below)
    for key, value in above.items():
        old = both.get(key)
        deep = isinstance(old, dict) and isinstance(value, dict) and key != "tune"
        both[key] = merged(old, value) if deep else value  # type: ignore[arg-type]
    return both
