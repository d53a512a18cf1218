"""Covering arrays against counting by hand: every group of values that can be is in a cell, and nothing else is."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.recipe.covering.array import Array, covering, groups_of
from harness.recipe.covering.conflicts import Cell, Conflicts, Refusal

quick = settings(deadline=None, max_examples=60)


@dataclass(frozen=True)
class Space:
    """Axes by their sizes, and what must not meet: rules, each of axes and the values of them that it refuses."""

    sizes: tuple[int, ...]
    rules: tuple[dict[int, frozenset[int]], ...]

    def broken(self, cell: Sequence[int], rules: Sequence[int] | None = None) -> list[int]:
        """The rules that a cell breaks."""
        chosen = range(len(self.rules)) if rules is None else rules
        return [at for at in chosen if all(cell[axis] in values for axis, values in self.rules[at].items())]

    def conflicts(self) -> Conflicts:
        def why(cell: Cell) -> Refusal | None:
            broken = self.broken(cell)
            return Refusal(frozenset({str(broken[0])}), frozenset(self.rules[broken[0]])) if broken else None

        return Conflicts(self.sizes, why)

    def possible(self, ways: int, rules: Sequence[int] | None = None) -> set[Any]:
        """By trying every cell of the product: the groups of those that break no rule."""
        found = set()
        for cell in itertools.product(*map(range, self.sizes)):
            if not self.broken(cell, rules):
                for axes in itertools.combinations(range(len(cell)), ways):
                    found.add(tuple((axis, cell[axis]) for axis in axes))
        return found


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    sizes = tuple(draw(st.lists(st.integers(1, 4), min_size=2, max_size=6)))
    rules = []
    for _ in range(draw(st.integers(0, 5))):
        axes = draw(st.lists(st.integers(0, len(sizes) - 1), min_size=1, max_size=3, unique=True))
        rules.append(
            {axis: frozenset(draw(st.lists(st.integers(0, sizes[axis] - 1), min_size=1, unique=True))) for axis in axes}
        )
    return Space(sizes, tuple(rules))


@quick
@given(spaces(), st.integers(2, 4))
def test_every_group_that_can_be_is_covered_and_no_cell_breaks_a_rule(space: Space, ways: int) -> None:
    ways = min(ways, len(space.sizes))

    array = covering(ways, space.conflicts())

    expected = space.possible(ways)
    assert [cell for cell in array.cells if space.broken(cell)] == []
    assert groups_of(array.cells, ways) == expected == array.possible
    every = sum(prod(sizes) for sizes in itertools.combinations(space.sizes, ways))
    assert len(array.possible) + len(array.impossible) == every
    assert array.possible.isdisjoint(array.impossible)


@quick
@given(spaces(), st.integers(2, 3))
def test_the_rules_named_for_a_group_refuse_it_without_any_other(space: Space, ways: int) -> None:
    array = covering(min(ways, len(space.sizes)), space.conflicts())

    for group, rules in array.impossible.items():
        assert group not in space.possible(array.ways, [int(rule) for rule in rules])


@quick
@given(spaces(), st.integers(2, 3))
def test_no_cell_can_be_dropped_unnoticed(space: Space, ways: int) -> None:
    array = covering(min(ways, len(space.sizes)), space.conflicts())

    for dropped in array.cells:
        left = groups_of((cell for cell in array.cells if cell != dropped), array.ways)
        assert left < array.possible


@quick
@given(spaces())
def test_the_same_axes_give_the_same_cells(space: Space) -> None:
    assert covering(2, space.conflicts()) == covering(2, space.conflicts())


def unconstrained(*sizes: int, ways: int = 2) -> Array:
    return covering(ways, Conflicts(sizes, lambda _: None))


@pytest.mark.parametrize(
    ("sizes", "ways", "most"),
    [
        pytest.param([3] * 4, 2, 9, id="3^4, which cannot be had in fewer"),
        pytest.param([3] * 13, 2, 18, id="3^13, which takes PICT 18 and AETG 15"),
        pytest.param([2] * 20, 2, 12, id="2^20"),
        pytest.param([5, 5, 4, 4, 3, 3, 2, 2, 2], 2, 27, id="mixed: 25 at least"),
        pytest.param([3] * 6, 3, 48, id="3^6 by threes, which takes PICT 48"),
        pytest.param([4, 3, 2], 3, 24, id="as many axes as values in a group: the product"),
    ],
)
def test_an_array_is_about_as_small_as_known_tools_make_it(sizes: list[int], ways: int, most: int) -> None:
    assert len(unconstrained(*sizes, ways=ways).cells) <= most


def test_what_refuses_only_together_is_named_together() -> None:
    """Of the third axis one rule takes away the first value and another the second, where the first two are both 0."""
    both = {0: frozenset({0}), 1: frozenset({0})}
    space = Space((2, 2, 2), ({**both, 2: frozenset({0})}, {**both, 2: frozenset({1})}))

    array = covering(2, space.conflicts())

    assert dict(array.impossible) == {((0, 0), (1, 0)): frozenset({"0", "1"})}


def test_millions_of_cells_are_not_tried_one_by_one() -> None:
    sizes = (6,) * 9  # ten million
    rules = ({0: frozenset({0, 1}), 8: frozenset({0})}, {1: frozenset({2}), 3: frozenset({1, 2, 3}), 7: frozenset({5})})
    conflicts = Space(sizes, rules).conflicts()

    array = covering(2, conflicts)

    assert set(array.impossible) == {((0, 0), (8, 0)), ((0, 1), (8, 0))}
    assert len(conflicts.cells_tried) < 3000
