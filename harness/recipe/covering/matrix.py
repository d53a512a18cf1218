"""A suite's matrix: axes of settings, all combinations of which are run, or so many that every pair meets."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from harness.refusal import Refused

Axes = dict[str, dict[str, Any]]  # by dotted key, values by name
WAYS = {"pairwise": 2}
FEWEST, MOST = 2, 6
_WAY = re.compile(r"(\d+)-way")


@dataclass(frozen=True)
class Place:
    """A cell of a matrix: the names of its values, and the values by dotted key."""

    names: tuple[str, ...] = ()
    values: dict[str, Any] = field(default_factory=dict)

    def beside(self, other: Place) -> Place:
        return Place((*self.names, *other.names), {**self.values, **other.values})

    def id_of(self, name: str) -> str:
        return f"{name}[{'-'.join(self.names)}]" if self.names else name


@dataclass(frozen=True)
class Matrix:
    """Axes of which every combination is run, and axes of which every `ways` values meet; `word` says so in a suite."""

    plain: Axes = field(default_factory=dict)
    covered: Axes = field(default_factory=dict)
    ways: int = 0
    word: str = ""

    def places(self) -> Iterator[Place]:
        """Every combination of the plain axes."""
        parts = [[Place((name,), {key: value}) for name, value in values.items()] for key, values in self.plain.items()]
        for combination in itertools.product(*parts):
            found = Place()
            for one in combination:
                found = found.beside(one)
            yield found

    def without(self, keys: set[str]) -> Matrix:
        """The same without the axes that a recipe sets itself. Of fewer axes than values in a group, all is covered."""
        plain, covered = ({key: axes[key] for key in axes if key not in keys} for axes in (self.plain, self.covered))
        return Matrix(plain, covered, min(self.ways, len(covered)), self.word)


def place_of(axes: Axes, cell: tuple[int, ...]) -> Place:
    """The cell of these axes that has, of each, the value in that place."""
    names = tuple(list(values)[at] for values, at in zip(axes.values(), cell, strict=True))
    return Place(names, {key: axes[key][name] for key, name in zip(axes, names, strict=True)})


def read_matrix(written: dict[str, Any], where: str) -> Matrix:
    """The matrix as a suite has it. Raises Refused, in one line, for what is none."""
    words = [key for key in written if key in WAYS or _WAY.fullmatch(key)]
    plain = _axes({key: values for key, values in written.items() if key not in words}, "matrix", where)
    if not words:
        return Matrix(plain)
    if len(words) > 1:
        raise Refused(f"matrix has {words[0]} and {words[1]}", where=where, do="keep one of them")
    word, title = words[0], f"matrix: {words[0]}"
    covered = _axes(written[word], title, where)
    ways = _ways(word, len(covered), where)
    for key, values in covered.items():
        if len(values) == 1:
            do = f"give it another, or write {key} in defaults"
            raise Refused(f"{title}: {key} has one value, and there is nothing to combine", where=where, do=do)
    for one, other in itertools.permutations([*plain, *covered], 2):
        if one == other or one.startswith(f"{other}."):
            raise Refused(f"{title}: {one} is in {other}, which is an axis too", where=where, do="keep one of them")
    return Matrix(plain, covered, ways, word)


def _ways(word: str, axes: int, where: str) -> int:
    """How many values make a group."""
    if not axes:
        do = "name settings, each with its values: precision: [fp32, bf16]"
        raise Refused(f"matrix: {word} has no axes", where=where, do=do)
    found = _WAY.fullmatch(word)
    ways = int(found[1]) if found else WAYS[word]
    if not FEWEST <= ways <= MOST:
        do = f"write pairwise, or N-way from {FEWEST}-way to {MOST}-way"
        raise Refused(f"matrix: {word} is out of range", where=where, do=do)
    if ways > axes:
        what = f"matrix: {word} combines {ways} axes, and there {'is 1' if axes == 1 else f'are {axes}'}"
        raise Refused(what, where=where, do="add axes, or combine fewer")
    return ways


def _axes(written: Any, title: str, where: str) -> Axes:
    if written is None:
        return {}
    if not isinstance(written, dict) or not all(isinstance(key, str) for key in written):
        raise Refused(f"{title} is not a mapping of axes", where=where, do="write setting: [a, b] under it")
    return {key: _named(key, values, title, where) for key, values in written.items()}


def _named(key: str, values: Any, title: str, where: str) -> dict[str, Any]:
    """An axis's values by name: those of a mapping, or of a list under their own text."""
    if not isinstance(values, list | dict) or not values:
        do = f"write {key}: [a, b], or {key}: {{name: a, other: b}}"
        raise Refused(f"{title}: {key} is not a list of values", where=where, do=do)
    pairs = [(_word(name), value) for name, value in values.items()] if isinstance(values, dict) else None
    named = pairs or [(str(value), value) for value in values]
    for name, number in ((name, [other for other, _ in named].count(name)) for name, _ in named):
        if pairs and not name:
            raise Refused(f"{title}: {key} has a value without a name", where=where, do="name it: off, or r8")
        if number > 1:
            raise Refused(f"{title}: {key} has {name} twice", where=where, do="remove one, or name them apart")
    return dict(named)


def _word(name: Any) -> str:
    """YAML reads a bare `on` or `off` as a boolean; here they are names."""
    return ("on" if name else "off") if isinstance(name, bool) else "" if name is None else str(name)
