"""What a covering suite covers of all combinations of its settings, said so that it can be checked."""

from __future__ import annotations

from collections.abc import Mapping

from harness.frozen import Frozen
from harness.wording import count

_WORDS = {1: "value", 2: "pair"}


class Coverage(Frozen):
    """Of one recipe under a covering matrix: groups of values that its runs had, of those that can be at all.

    `run` of its `recipes` were run; `product` is how many there are without choosing. `impossible` are the groups that
    no recipe can have, by the rules that say so. `ways` is how many values make a group.
    """

    recipe: str
    ways: int
    axes: int
    covered: int
    possible: int
    run: int
    recipes: int
    product: int
    impossible: Mapping[str, int] = {}

    @property
    def whole(self) -> bool:
        return self.covered == self.possible

    def groups(self, number: int) -> str:
        """So many of what is covered: pairs, or groups of three values and more."""
        if self.ways in _WORDS:
            return count(number, _WORDS[self.ways])
        return f"{count(number, 'group')} of {self.ways} values"

    @property
    def text(self) -> str:
        """`all 1,200 pairs of 12 settings in 66 recipes of 10,368,000; 21 pairs cannot be`."""
        covered = f"{'all' if self.whole else f'{self.covered:,} of'} {self.groups(self.possible)}"
        recipes = f"{self.run:,}" if self.run == self.recipes else f"{self.run:,} of {self.recipes:,}"
        return f"{covered} of {count(self.axes, 'setting')} in {recipes} recipes of {self.product:,}{self._left_out}"

    @property
    def refused(self) -> list[tuple[str, int]]:
        """What says that groups cannot be, what says most first, and of how many."""
        return sorted(self.impossible.items(), key=lambda item: (-item[1], item[0]))

    @property
    def _left_out(self) -> str:
        number = sum(self.impossible.values())
        return f"; {self.groups(number)} cannot be" if number else ""
