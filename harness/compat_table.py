"""Layer 0. compat.json: what became of directories saved under one stack of libraries and loaded under another.

Pure data, for whoever makes the table and for whoever shows it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError, model_validator

from harness.frozen import Frozen
from harness.refusal import Refused
from harness.result import Status
from harness.trace.atomic import write_atomically

COMPAT = "compat.json"
FORMAT = 1
BAD = (Status.FAILED, Status.FIXED, Status.BLOCKED)


class Outcome(str, Enum):
    """One word about a directory under another stack, from bad to good; the first that fits is said.

    `keys_lost` raises nothing: keys are missing or unknown, by name, and what they held is not what was saved.
    `not_applicable` is a recipe that the saving stack cannot make, by the name of what it lacks.
    """

    ERROR = "error"
    KEYS_LOST = "keys_lost"
    OUTPUTS_DIFFER = "outputs_differ"
    LOADS = "loads"
    NOT_APPLICABLE = "not_applicable"

    @property
    def words(self) -> str:
        return _WORDS[self]

    @property
    def symbol(self) -> str:
        """One character, for where a word has no room. Never shown without the words beside or below it."""
        return _SYMBOLS[self]


_WORDS = {
    Outcome.ERROR: "error",
    Outcome.KEYS_LOST: "keys lost",
    Outcome.OUTPUTS_DIFFER: "outputs differ",
    Outcome.LOADS: "loads",
    Outcome.NOT_APPLICABLE: "not applicable",
}
_SYMBOLS = {
    Outcome.ERROR: "E",
    Outcome.KEYS_LOST: "K",
    Outcome.OUTPUTS_DIFFER: "D",
    Outcome.LOADS: "=",
    Outcome.NOT_APPLICABLE: "-",
}


class Stack(Frozen):
    """Libraries by their versions: those that the stacks file names, and all that were in force."""

    name: str
    asked: Mapping[str, str]
    versions: Mapping[str, str] = {}


class Gap(Frozen):
    """A difference between what the saving stack saw of a model and what the loading one sees.

    `field` is what differs (loaded weights, encoded tokens, encoded pixels, outputs, generated ids), `where` of which
    parameter, prompt or sample; `absolute` and `relative` are None where a difference has no size.
    """

    field: str
    where: str
    first: str
    second: str
    absolute: float | None = None
    relative: float | None = None


class Cell(Frozen):
    """One recipe, saved under one stack and loaded under another (or the same, in another process).

    `largest` is the largest gap of the field that differs first in the order tokens, pixels, weights, logits, generated
    ids (where keys are lost, of the logits; where all loads, within the tolerance); `differing` names all fields that
    differ. `status` is `failed` for any outcome but `loads`, unless a known failure
    says so; `reason` is why it is not `passed`.
    """

    recipe: str
    saved_under: str
    loaded_under: str
    outcome: Outcome
    status: Status
    reason: str = ""
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[str, ...] = ()
    largest: Gap | None = None
    differing: tuple[str, ...] = ()
    error: str = ""
    tolerances: str = ""
    again: str = ""
    seconds: float = 0.0

    @property
    def bad(self) -> bool:
        """Whether it makes the command fail."""
        return self.status in BAD


class CompatTable(Frozen):
    """All cells of some suites and stacks. Stacks are in the order of their file, recipes in that of their suites."""

    format: int = FORMAT
    harness: str = ""
    made: str = ""
    stacks: tuple[Stack, ...]
    recipes: tuple[str, ...]
    cells: tuple[Cell, ...] = ()
    seconds: float = 0.0

    @model_validator(mode="after")
    def _every_cell_has_its_place(self) -> CompatTable:
        names = {stack.name for stack in self.stacks}
        places = [(cell.recipe, cell.saved_under, cell.loaded_under) for cell in self.cells]
        for recipe, saved, loaded in places:
            if recipe not in self.recipes or not {saved, loaded} <= names:
                raise ValueError(f"a cell of {recipe}, {saved} to {loaded}, is of no recipe or stack of the table")
        if len(set(places)) < len(places):
            raise ValueError("two cells have the same place")
        return self

    def cell(self, recipe: str, saved_under: str, loaded_under: str) -> Cell | None:
        """The cell of one place; None for one that was not tried."""
        return self._by_place.get((recipe, saved_under, loaded_under))

    @cached_property
    def _by_place(self) -> dict[tuple[str, str, str], Cell]:
        return {(one.recipe, one.saved_under, one.loaded_under): one for one in self.cells}

    def rows(self, recipe: str) -> Iterator[tuple[Stack, tuple[Cell | None, ...]]]:
        """The table of one recipe: a row for each stack that saves, in it a cell for each that loads."""
        for saving in self.stacks:
            yield saving, tuple(self.cell(recipe, saving.name, loading.name) for loading in self.stacks)

    @property
    def counts(self) -> Mapping[Outcome, int]:
        """How many cells there are of each outcome, from bad to good; those that occur."""
        found = Counter(cell.outcome for cell in self.cells)
        return {outcome: found[outcome] for outcome in Outcome if found[outcome]}

    @property
    def bad(self) -> tuple[Cell, ...]:
        """The cells that make the command fail."""
        return tuple(cell for cell in self.cells if cell.bad)

    @classmethod
    def read(cls, path: Path) -> CompatTable:
        """Raises Refused, in one line, for a file that is no compat.json."""
        do = "write it with harness compat"
        try:
            table = cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise Refused(f"cannot be read: {error.strerror or error}", where=str(path), do=do) from None
        except ValidationError as error:
            first = error.errors()[0]
            at = ".".join(map(str, first["loc"]))
            what = f"is no {COMPAT}: {at}: {first['msg']}" if at else f"is no {COMPAT}: {first['msg']}"
            raise Refused(what, where=str(path), do=do) from None
        if table.format != FORMAT:
            raise Refused(f"has format {table.format}, not {FORMAT}", where=str(path), do=do)
        return table

    def write(self, path: Path) -> None:
        """Whole or not at all."""
        write_atomically(path, self.model_dump_json(indent=1) + "\n")
