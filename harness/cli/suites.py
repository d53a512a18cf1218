"""Which suites and recipes a command was given."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from harness.recipe import Suite, read_suite
from harness.refusal import Refused

SUFFIXES = (".yaml", ".yml")
NOT_SUITES = ("known_failures.yaml",)


def suites_at(paths: Sequence[Path]) -> list[Suite]:
    """Read every suite named, and every one in a folder named. Refuses the first that cannot work."""
    files = [file for path in paths for file in _files(path)]
    suites = [read_suite(file) for file in files]
    for suite in suites:
        for name, recipe in suite.recipes.items():
            _buildable(suite.path, name, recipe)
    return suites


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and file.name not in NOT_SUITES)
    if not found:
        raise Refused("holds no suite", where=str(path), do="name a suite file, or a folder with some")
    return found


def _buildable(path: Path, name: str, recipe: object) -> None:
    """Refuse an unknown family and a damaged start directory before anything is built."""
    from harness.checkpoint.problems import checkpoint_problems
    from harness.families import check_possible
    from harness.recipe import Recipe

    assert isinstance(recipe, Recipe)
    try:
        check_possible(recipe)
    except Refused as refused:
        raise Refused(refused.what, where=f"{path}: {name}", do=refused.do) from None
    if recipe.start_from != "fresh":
        for problem in checkpoint_problems(Path(recipe.start_from)):
            raise Refused(problem, where=f"{path}: {name}: start_from")


def chosen(suites: Sequence[Suite], names: Sequence[str]) -> list[str]:
    """The pytest arguments for whole suites, or for the named recipes of them."""
    for suite in suites:
        if "[" in str(suite.path):
            raise Refused("pytest takes no path with a [ in it", where=str(suite.path), do="run from inside the folder")
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
