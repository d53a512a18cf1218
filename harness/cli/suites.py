"""Which suites and recipes a command was given."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from harness.recipe import BESIDE_SUITES, Suite
from harness.refusal import Refused

SUFFIXES = (".yaml", ".yml")


def suites_at(paths: Sequence[Path]) -> list[Suite]:
    """Read every suite named, and every one in a folder named. Refuses the first that cannot work."""
    from harness.running.session import check_buildable, suite_at, suite_names

    suites = [suite_at(file) for file in _files(paths)]
    suite_names(suite.path for suite in suites)
    for suite in suites:
        check_buildable(suite)
    return suites


def _files(paths: Sequence[Path]) -> list[Path]:
    """The files named, and those in the folders named; known failures and stacks, which suites/*.yaml names too, are
    no suites."""
    files = []
    for path in paths:
        found = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES) if path.is_dir() else [path]
        suites = [file for file in found if file.name not in BESIDE_SUITES]
        if not suites and (path.is_dir() or len(paths) == 1):
            raise Refused("holds no suite", where=str(path), do="name a suite file, or a folder with some")
        files += suites
    return files


def quick_ones(suites: Sequence[Suite]) -> list[str]:
    """The pytest arguments for the recipes of the quick gate."""
    return [f"{suite.path}::{name}" for suite in suites for name in suite.quick]


def chosen(suites: Sequence[Suite], names: Sequence[str]) -> list[str]:
    """The pytest arguments for whole suites, or for the named recipes of them."""
    if not names:
        return [str(suite.path) for suite in suites]
    arguments = []
    for name in names:
        holding = [suite for suite in suites if name in suite.recipes]
        if not holding:
            known = [recipe for suite in suites for recipe in suite.recipes]
            close = difflib.get_close_matches(name, known, n=1)
            raise Refused(
                f"no recipe {name!r} in {', '.join(str(suite.path) for suite in suites)}",
                do=f"did you mean {close[0]}?" if close else f"there are {', '.join(known[:8])}",
            )
        arguments += [f"{suite.path}::{name}" for suite in holding]
    return arguments
