"""Which combinations of values can be: found by trying, and what is refused is remembered with what refused it.

A refusal names the axes that it looked at. Any cell that has the same values there is refused too, without being tried,
so that of millions of cells some hundreds are; that a combination cannot be is proven, never assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Cell = tuple[int, ...]  # of each axis the place of its value
Values = Mapping[int, int]  # of some axes


@dataclass(frozen=True)
class Refusal:
    """Why a cell cannot be: the rules that say so, the axes that they look at, and what one of them said."""

    rules: frozenset[str]
    axes: frozenset[int]
    said: str = ""


Why = Callable[[Cell], Refusal | None]


@dataclass
class Conflicts:
    """Looks for cells that can be, and learns which cannot."""

    sizes: Sequence[int]
    why: Why
    cells_tried: dict[Cell, Refusal | None] = field(default_factory=dict)
    _known: dict[frozenset[tuple[int, int]], Refusal] = field(default_factory=dict)
    _by_value: dict[tuple[int, int], list[frozenset[tuple[int, int]]]] = field(default_factory=dict)
    _can_be: dict[tuple[int, int], set[Cell]] = field(default_factory=dict)

    def tried(self, cell: Cell) -> Refusal | None:
        """What refuses a whole cell, or None."""
        if cell not in self.cells_tried:
            self.cells_tried[cell] = found = self.why(cell)
            if found:
                self._learn(found, dict(enumerate(cell)))
            else:
                for pair in enumerate(cell):
                    self._can_be.setdefault(pair, set()).add(cell)
        return self.cells_tried[cell]

    def refused(self, values: Values) -> Refusal | None:
        """What is known by now to refuse any cell with these values."""
        return next(filter(None, (self._refused_with(pair, values) for pair in values.items())), None)

    def _refused_with(self, pair: tuple[int, int], values: Values) -> Refusal | None:
        there = values.items()
        known = self._by_value.get(pair, ())
        return next((self._known[combination] for combination in known if combination <= there), None)

    def completed(self, values: Values) -> Cell | Refusal:
        """A cell with these values that can be, one that is known where there is one; or why there is none."""
        cells = sorted((self._can_be.get(pair, set()) for pair in values.items()), key=len)
        if cells and (known := cells[0].intersection(*cells[1:])):
            return min(known)
        return self._known.get(frozenset()) or self.refused(values) or self._completed(dict(values))

    def _completed(self, cell: dict[int, int]) -> Cell | Refusal:
        """The first values of the other axes are tried first."""
        axis = next((axis for axis in range(len(self.sizes)) if axis not in cell), None)
        if axis is None:
            whole = tuple(cell[axis] for axis in range(len(self.sizes)))
            return self.tried(whole) or whole
        rules: set[str] = set()
        axes: set[int] = set()
        said = ""
        for value in range(self.sizes[axis]):
            cell[axis] = value
            found = self._refused_with((axis, value), cell) or self._completed(cell)
            if not isinstance(found, Refusal):
                return found
            if axis not in found.axes:  # whatever this axis is, it is refused
                del cell[axis]
                return found
            rules |= found.rules
            axes |= found.axes
            said = said or found.said
        del cell[axis]
        return self._learn(Refusal(frozenset(rules), frozenset(axes - {axis}), said), cell)

    def _learn(self, refusal: Refusal, values: Values) -> Refusal:
        combination = frozenset((axis, values[axis]) for axis in refusal.axes)
        if combination not in self._known:
            self._known[combination] = refusal
            for pair in combination:
                self._by_value.setdefault(pair, []).append(combination)
        return refusal
