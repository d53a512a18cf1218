"""Layer 5. The suites that a command line names, each once, whole or in part."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.recipe import BESIDE_SUITES
from harness.report import seen_from_here
from harness.running.session import suite_names
from harness.verdict import KNOWN_FAILURES, KnownFailure, read_known_failures


@dataclass(frozen=True)
class NamedSuite:
    """A suite that was named on the command line: its path, its name, its node id, and what of it is wanted if not all.

    What is wanted is written as in a node id: `recipe`, or `recipe::check`.
    """

    path: Path
    name: str
    node: str
    wanted: tuple[str, ...] = ()

    @property
    def seen(self) -> str:
        return seen_from_here(self.path)

    def wants(self, recipe: str, check: str = "") -> bool:
        whole = not self.wanted or recipe in self.wanted
        if check:
            return whole or f"{recipe}::{check}" in self.wanted
        return whole or any(wanted.startswith(f"{recipe}::") for wanted in self.wanted)

    def known_failures(self) -> list[KnownFailure]:
        """Those that lie beside it. They know it by the name of its file, whatever it takes to tell it from others."""
        folders = self.name.removesuffix(self.path.stem)
        known = read_known_failures(self.path.with_name(KNOWN_FAILURES))
        return [entry.model_copy(update={"recipe": f"{folders}{entry.recipe}"}) for entry in known]


def named_suites(named: Sequence[tuple[Path, str]], root: Path) -> list[NamedSuite]:
    """The suites of a command line, each once, from paths and the arguments that name them, whole or in part."""
    wanted: dict[Path, list[str]] = {}
    for path, argument in named:
        if path.name not in BESIDE_SUITES:  # as in suites/*.yaml
            whole = Path(os.path.abspath(path))  # noqa: PTH100 - a link is a file of its own
            wanted.setdefault(whole, []).append(argument.partition("::")[2])
    names = suite_names(wanted)
    return [
        NamedSuite(path, names[path], _node(path, root), () if "" in parts else tuple(parts))
        for path, parts in wanted.items()
    ]


def _node(path: Path, root: Path) -> str:
    """A node id for a suite wherever it lies; pytest has none for a file outside its root directory."""
    try:
        return Path(os.path.relpath(path, root)).as_posix()
    except ValueError:  # on another drive
        return path.as_posix()
