"""A few patterns for many names: those of a part that is named whole, ranges of layers, choices of modules."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from harness.patterns import meets

Tree = dict[str, Any]
WHOLE = ("",)
"""What stands for a part of which everything is named."""


def patterns_for(wanted: Collection[str], known: Collection[str]) -> tuple[str, ...]:
    """Patterns that are about the wanted names and about no other of those that are known; each name where none do."""
    tree: Tree = {}
    for name in known:
        at = tree
        for part in name.split("."):
            at = at.setdefault(part, {})
    found = tuple(_below(tree, "", set(wanted))) if wanted else ()
    met = {name for name in known if any(meets(pattern, name) for pattern in found)}
    return found if met == set(wanted) else tuple(sorted(wanted))


def _below(tree: Tree, path: str, wanted: set[str]) -> Sequence[str]:
    """Patterns relative to a place in the tree; WHOLE where everything under it is wanted."""
    if not tree:
        return WHOLE if path in wanted else ()
    found = {part: tuple(_below(inside, f"{path}.{part}" if path else part, wanted)) for part, inside in tree.items()}
    if path and all(patterns == WHOLE for patterns in found.values()):
        return WHOLE
    groups: dict[tuple[str, ...], list[str]] = {}
    for part, patterns in found.items():
        groups.setdefault(patterns, []).append(part)
    return [
        f"{label}.{rest}" if rest else label
        for patterns, parts in groups.items()
        for rest in patterns
        for label in _labels(parts)
    ]


def _labels(parts: Iterable[str]) -> Iterator[str]:
    """One label for the numbers among some names, and one for the others."""
    numbers = sorted({int(part) for part in parts if part.isdecimal()})
    words = [part for part in parts if not part.isdecimal()]
    for choices in (list(ranges(numbers)), words):
        if len(choices) == 1 and ".." not in choices[0]:
            yield choices[0]
        elif choices:
            yield f"{{{','.join(choices)}}}"


def ranges(numbers: Sequence[int]) -> Iterator[str]:
    """Numbers in order, those that follow each other as a range."""
    start = 0
    for at in range(1, len(numbers) + 1):
        if at == len(numbers) or numbers[at] != numbers[at - 1] + 1:
            first, last = numbers[start], numbers[at - 1]
            yield str(first) if first == last else f"{first}..{last}"
            start = at
