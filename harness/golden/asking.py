"""Which goldens are asked for, each with the recipe that it is of today."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from harness.golden.index import Entry
from harness.golden.stacks import Shelf, names_of
from harness.golden.verifying import Asked
from harness.recipe import Suite
from harness.refusal import Refused
from harness.running.session import check_buildable, suite_at


def chosen(goldens: Mapping[str, Entry], names: Collection[str]) -> dict[str, Entry]:
    """The goldens of these names; all of them, where none is named. Raises Refused for one that there is not."""
    if unknown := [name for name in names if name not in goldens]:
        raise no_such(unknown[0], list(goldens), "the goldens")
    return {name: entry for name, entry in goldens.items() if not names or name in names}


def no_such(name: str, known: list[str], where: str, what: str = "recipe") -> Refused:
    close = difflib.get_close_matches(name, known, n=1)
    do = f"did you mean {close[0]}?" if close else f"there are {', '.join(known[:8])}"
    return Refused(f"no {what} {name!r} in {where}", do=do)


def asked_of(shelves: Collection[Shelf], names: Collection[str] = ()) -> list[Asked]:
    """The goldens of these names of all shelves, or all of them. Raises Refused for one that there is not."""
    known = names_of(shelves)
    if unknown := [name for name in names if name not in known]:
        raise no_such(unknown[0], known, "the goldens")
    suites: dict[Path, Suite | None] = {}
    found = []
    for shelf in shelves:
        for recipe_id, entry in shelf.goldens.items():
            if not names or shelf.name(recipe_id) in names:
                found.append(_asked(shelf, recipe_id, entry, suites))
    return found


def _asked(shelf: Shelf, recipe_id: str, entry: Entry, suites: dict[Path, Suite | None]) -> Asked:
    """A golden with the recipe that it is of today."""
    path = Path(os.path.relpath(shelf.folder / entry.suite))
    if path not in suites:
        suites[path] = suite_at(path) if path.is_file() else None
        if suite := suites[path]:
            check_buildable(suite)
    there = suites[path]
    recipe = there.recipes.get(recipe_id.partition("/")[2]) if there else None
    return Asked(recipe_id, entry, recipe, path, shelf)


def asked(goldens: Mapping[str, Entry], golden: Path) -> list[Asked]:
    """Each golden of one folder with the recipe that it is of today."""
    return asked_of([Shelf(golden, goldens)])
