"""Covering arrays: of all cells of a matrix so few that every pair of values, or every t of them, is in one of them.

The rows are allpairspy's, without those that cannot be; what these leave uncovered is added cell by cell, and cells of
which every group is in another one are taken out again.
https://csrc.nist.gov/projects/automated-combinatorial-testing-for-software
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from harness.recipe.covering.conflicts import Cell, Conflicts, Refusal

Group = tuple[tuple[int, int], ...]  # axes, each with the place of its value
ROUNDS = 20  # in which the library's rows may show combinations that nobody has tried yet
BEGUN = 8  # groups that a further cell is begun with, to take the best; about so many


@dataclass(frozen=True)
class Array:
    """Cells that cover every group of values that can be; and the groups that cannot, with the rules that say so."""

    ways: int
    cells: tuple[Cell, ...]
    possible: frozenset[Group]
    impossible: dict[Group, frozenset[str]]


def covering(ways: int, conflicts: Conflicts) -> Array:
    """Cells that cover every group of `ways` values that can be."""
    possible, impossible = _divided(ways, conflicts)
    cells = _rows(ways, conflicts)
    cells += _completing(possible - groups_of(cells, ways), ways, conflicts)
    return Array(ways, tuple(_needed(cells, ways, possible)), frozenset(possible), impossible)


def groups_of(cells: Iterable[Cell], ways: int) -> set[Group]:
    """All groups of values of these cells."""
    return {group for cell in cells for group in _groups(cell, ways)}


def _groups(cell: Cell, ways: int) -> Iterator[Group]:
    yield from itertools.combinations(enumerate(cell), ways)


def _divided(ways: int, conflicts: Conflicts) -> tuple[set[Group], dict[Group, frozenset[str]]]:
    """The groups that some cell has, and those that none has."""
    possible: set[Group] = set()
    impossible: dict[Group, frozenset[str]] = {}
    sizes = conflicts.sizes
    for axes in itertools.combinations(range(len(sizes)), ways):
        for values in itertools.product(*(range(sizes[axis]) for axis in axes)):
            group = tuple(zip(axes, values, strict=True))
            if group in possible:
                continue
            found = conflicts.completed(dict(group))
            if isinstance(found, Refusal):
                impossible[group] = found.rules
            else:
                possible.update(_groups(found, ways))
    return possible, impossible


def _rows(ways: int, conflicts: Conflicts) -> list[Cell]:
    """The library's rows that can be. It covers best when the longest axes come first, and stops early beyond pairs."""
    sizes = conflicts.sizes
    if ways != 2 or len(sizes) == ways:
        return []
    from allpairspy import AllPairs

    order = sorted(range(len(sizes)), key=lambda axis: -sizes[axis])
    rows: list[Cell] = []
    for _ in range(ROUNDS):
        found = AllPairs(
            [list(range(sizes[axis])) for axis in order],
            filter_func=lambda row: not conflicts.refused(dict(zip(order, row, strict=False))),
        )
        rows = [tuple(value for _, value in sorted(zip(order, row, strict=True))) for row in found]
        if not sum(conflicts.tried(row) is not None for row in rows):  # all are tried, and what is refused is learned
            break
    return list(dict.fromkeys(row for row in rows if not conflicts.tried(row)))


def _completing(left: set[Group], ways: int, conflicts: Conflicts) -> list[Cell]:
    """Further cells for the groups that are left, each the best of some that begin with a group of them."""
    cells = []
    in_order, left = sorted(left), set(left)
    while left:
        in_order = [group for group in in_order if group in left]
        wanted = Counter(axis for group in in_order for axis, _ in group)
        order = sorted(range(len(conflicts.sizes)), key=lambda axis: -wanted[axis])
        apart = in_order[:: max(1, len(in_order) // BEGUN)]
        begun = [_grown(group, order, left, conflicts) for group in apart]
        best = max(begun, key=lambda cell: len(left.intersection(_groups(cell, ways))))
        cells.append(best)
        left.difference_update(_groups(best, ways))
    return cells


def _grown(group: Group, order: Sequence[int], left: set[Group], conflicts: Conflicts) -> Cell:
    """A cell with this group; axis by axis with the value that is in most of the groups left, as far as can be."""
    values, sizes = dict(group), conflicts.sizes
    for axis in order:
        if axis in values:
            continue
        others = list(itertools.combinations(sorted(values.items()), len(group) - 1))
        gains = [sum(tuple(sorted((*some, (axis, v)))) in left for some in others) for v in range(sizes[axis])]
        for value in sorted(range(sizes[axis]), key=lambda value: -gains[value]):
            if not isinstance(conflicts.completed({**values, axis: value}), Refusal):
                values[axis] = value
                break
    return tuple(values[axis] for axis in range(len(sizes)))


def _needed(cells: Sequence[Cell], ways: int, possible: set[Group]) -> list[Cell]:
    """The cells without those of which every group is in another; the last are looked at first."""
    times = Counter(group for cell in cells for group in _groups(cell, ways))
    kept = []
    for cell in reversed(cells):
        if all(times[group] > 1 for group in _groups(cell, ways)):
            times.subtract(_groups(cell, ways))
        else:
            kept.append(cell)
    assert all(times[group] for group in possible)
    return sorted(kept)
