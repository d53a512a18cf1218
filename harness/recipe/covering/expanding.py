"""A recipe as a suite has it, made into recipes: one for each cell of the matrix, or for each that covers it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.recipe.covering.array import Array, covering, groups_of
from harness.recipe.covering.conflicts import Conflicts, Refusal
from harness.recipe.covering.coverage import Coverage
from harness.recipe.covering.matrix import Axes, Matrix, Place, place_of
from harness.recipe.covering.possible import Laid, Refuse, why_not
from harness.recipe.invalid import refusal_of, with_family
from harness.recipe.layers import has, laid_over, merged
from harness.recipe.model import LATER, Recipe
from harness.recipe.suite_checks import Marks
from harness.refusal import Refused

Settings = dict[str, Any]
_Asked = tuple[str, Refuse | None]  # axes and what they are laid over, and who else may refuse


@dataclass(frozen=True)
class Covering:
    """The recipes that cover a recipe's matrix, in the order of the array's cells."""

    name: str
    array: Array
    sizes: tuple[int, ...]
    recipes: tuple[str, ...]

    def coverage(self, run: Collection[str]) -> Coverage:
        """What those of its recipes that were run cover."""
        array = self.array
        cells = [cell for name, cell in zip(self.recipes, array.cells, strict=True) if name in run]
        return Coverage(
            recipe=self.name,
            ways=array.ways,
            axes=len(self.sizes),
            covered=len(groups_of(cells, array.ways)),
            possible=len(array.possible),
            run=len(cells),
            recipes=len(array.cells),
            product=math.prod(self.sizes),
            impossible=dict(
                sorted(Counter(" and ".join(sorted(rules)) for rules in array.impossible.values()).items())
            ),
        )


@dataclass(frozen=True)
class Expansion:
    """A recipe over what lies under all of them, and the suite's matrix.

    A recipe that sets a key of the matrix itself keeps its own value: that axis does not apply to it.
    """

    name: str
    below: Settings
    own: Settings
    matrix: Matrix
    path: Path
    refuse: Refuse | None

    def recipes(self, coverings: list[Covering]) -> Iterator[tuple[str, Settings]]:
        """Ids and settings; what covers a matrix is added to the coverings."""
        keys = {*self.matrix.plain, *self.matrix.covered}
        matrix = self.matrix.without({key for key in keys if has(self.own, key)})
        whole = merged(self.below, self.own)
        for place in matrix.places():
            under = laid_over(whole, place.values)
            cells = self._covering(place, under, matrix, coverings) if matrix.covered else [place]
            for cell in cells:
                yield cell.id_of(self.name), laid_over(whole, cell.values)

    def _covering(self, place: Place, under: Settings, matrix: Matrix, coverings: list[Covering]) -> list[Place]:
        axes = matrix.covered
        where = f"{self.path}: {place.id_of(self.name)}"

        def laid(values: Settings) -> Settings:
            return {key: value for key, value in laid_over(under, values).items() if key not in Marks.model_fields}

        _refuse_wrong_values(axes, laid, where)
        conflicts = Conflicts([len(values) for values in axes.values()], why_not(axes, laid, self.refuse))
        _refuse_idle_values(axes, conflicts, f"matrix: {matrix.word}", where)
        array = _array(matrix.ways, conflicts, (repr((axes, laid({}))), self.refuse))
        places = [place.beside(place_of(axes, cell)) for cell in array.cells]
        ids = tuple(one.id_of(self.name) for one in places)
        coverings.append(Covering(place.id_of(self.name), array, tuple(conflicts.sizes), ids))
        return places


_made: dict[
    tuple[int, _Asked], Array
] = {}  # one process reads a suite several times, and finding an array takes a second


def _array(ways: int, conflicts: Conflicts, asked: _Asked) -> Array:
    if (ways, asked) not in _made:
        _made[ways, asked] = covering(ways, conflicts)
    return _made[ways, asked]


def _refuse_wrong_values(axes: Axes, laid: Laid, where: str) -> None:
    """Refuse a value that is none of its setting's, as it would be refused in a recipe."""
    family = {"family": next(iter(axes["family"].values()))} if "family" in axes else {}
    for key, values in axes.items():
        for name, value in values.items():
            settings = with_family(laid({**family, key: value}), where)
            try:
                Recipe.model_validate(settings, context=LATER)
            except ValidationError as error:
                raise refusal_of(error, f"{where}: {key} {name}") from None


def _refuse_idle_values(axes: Axes, conflicts: Conflicts, title: str, where: str) -> None:
    """Refuse a value that no recipe of the matrix can have: it would be left out, and nobody would know."""
    for axis, (key, values) in enumerate(axes.items()):
        for at, name in enumerate(values):
            found = conflicts.completed({axis: at})
            if isinstance(found, Refusal):
                what, _, do = found.said.partition("; ")
                if axis in found.axes:
                    raise Refused(f"{title}: {key} {name} is in no recipe that can be: {what}", where=where, do=do)
                raise Refused(what, where=where, do=do)
