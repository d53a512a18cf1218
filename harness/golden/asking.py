"""Which goldens are asked for, each with the recipe that it is of today."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from harness.golden.index import Entry
from harness.golden.verifying import Asked
from harness.recipe import Suite, read_suite
from harness.refusal import Refused
from harness.session import check_buildable


def chosen(goldens: Mapping[str, Entry], names: Collection[str]) -> dict[str, Entry]:
    """The goldens of these names; all of them, where none is named. Raises Refused for one that there is not."""
    if unknown := [name for name in names if name not in goldens]:
        raise no_such(unknown[0], list(goldens), "the goldens")
    return {name: entry for name, entry in goldens.items() if not names or name in names}


def no_such(name: str, known: list[str], where: str) -> Refused:
    close = difflib.get_close_matches(name, known, n=1)
    do = f"did you mean {close[0]}?" if close else f"there are {', '.join(known[:8])}"
    return Refused(f"no recipe {name!r} in {where}", do=do)


def asked(goldens: Mapping[str, Entry], golden: Path) -> list[Asked]:
    """Each golden of a folder with the recipe that it is of today."""
    suites: dict[str, Suite | None] = {}
    found = []
    for name, entry in goldens.items():
        path = Path(os.path.relpath(golden / entry.suite))
        if entry.suite not in suites:
            suites[entry.suite] = read_suite(path) if path.is_file() else None
            if suite := suites[entry.suite]:
                check_buildable(suite)
        there = suites[entry.suite]
        found.append(Asked(name, entry, there.recipes.get(name.partition("/")[2]) if there else None, path))
    return found
