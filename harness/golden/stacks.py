"""Goldens of other stacks: below the folder of goldens one folder for each, which is a folder of goldens itself.

Its index says which libraries were in force when its goldens were pinned; what was pinned under others is none of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness import stack
from harness.golden.index import STACKS, Entry, read_goldens, strays, top_of
from harness.golden.known import Incompatible, read_known, unused_entries
from harness.refusal import Refused
from harness.verdict import KNOWN_FAILURES

MARK = "@"  # between a recipe and the stack that its golden is of


@dataclass(frozen=True)
class Shelf:
    """A folder of goldens: those of the stack that one works under, or of another one by its name."""

    folder: Path
    goldens: Mapping[str, Entry]
    stack: str = ""
    versions: Mapping[str, str] | None = None
    known: tuple[Incompatible, ...] = ()

    def name(self, recipe_id: str) -> str:
        """What a golden of it is called."""
        return f"{recipe_id}{MARK}{self.stack}" if self.stack else recipe_id


def shelves(golden: Path) -> list[Shelf]:
    """A folder of goldens, and those of other stacks below it. Raises Refused for one that does not say its stack."""
    known = read_known(golden)
    found = [_shelf(golden, "", known)] + [_shelf(path, path.name, known) for path in stack_folders(golden)]
    if dead := unused_entries(known, names_of(found)):
        what = f"excuses {dead[0].golden}, which is no golden: {dead[0].reason}"
        raise Refused(what, where=str(golden / KNOWN_FAILURES), do="take the entry out")
    return found


def stack_folders(golden: Path) -> list[Path]:
    """The folders of other stacks, by name."""
    return sorted(path for path in (golden / STACKS).glob("*") if path.is_dir() and any(path.iterdir()))


def _shelf(folder: Path, name: str, known: tuple[Incompatible, ...]) -> Shelf:
    index = read_goldens(folder)
    if name and not index.stack:
        what = f"does not say which libraries the goldens of stack {name} were pinned under"
        raise Refused(what, where=str(folder), do="pin them again: nox -s old_goldens, or take it from version control")
    if index.stack and not name:
        what = "holds goldens of another stack, and is no folder below one of goldens"
        raise Refused(what, where=str(folder), do=f"name the folder that has it in {STACKS}/")
    return Shelf(folder, index.goldens, name, index.stack, known)


def of_another_stack(shelf: Shelf, made_under: Mapping[str, str]) -> str:
    """What of the libraries that a golden was pinned under is not as its folder says; nothing where all is."""
    said = shelf.versions or {}
    return ", ".join(
        f"{name} {made_under.get(name, 'none')} and not {said.get(name, 'none')}"
        for name in sorted(said.keys() | made_under.keys())
        if said.get(name) != made_under.get(name)
    )


def in_force(folder: Path) -> dict[str, str] | None:
    """The libraries that goldens pinned now into a folder are of, where it is one of another stack."""
    return dict(stack.versions()) if top_of(folder) != folder else None


def unknown_in(found: Collection[Shelf]) -> list[str]:
    """Archives that belong to no golden."""
    return [one.name(name) for one in found for name in strays(one.folder, one.goldens.values())[0]]


def left_behind(found: Collection[Shelf]) -> list[str]:
    """Archives that interrupted changes have left."""
    return [one.name(name) for one in found for name in strays(one.folder, one.goldens.values())[1]]


def names_of(found: Collection[Shelf]) -> list[str]:
    return [shelf.name(recipe) for shelf in found for recipe in shelf.goldens]
