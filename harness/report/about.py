"""What the results of a run do not say themselves. It lies beside them, so that reports can be written again."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import ValidationError

from harness.frozen import Frozen
from harness.recipe.covering.coverage import Coverage
from harness.refusal import Refused
from harness.store import write_text
from harness.wording import joined

ABOUT = "run.json"


class AboutRun(Frozen):
    """Where the suites lie by name, seen from where the run was started; seconds by recipe; and how it ended.

    `before` is what the baseline holds of what was run, by recipe and status, if there was one, and `only` says what of
    it was compared if not all; `quick` says what the quick gate chose. `not_judged` are recipes without all their
    results, `missing` checks of the baseline, as "recipe: check", and `unused` known failures that match nothing.
    `goldens` is the folder of those that were verified, seen from where the run was started too.
    `coverage` is what of its covering matrices was run and held against all checks.
    `commands` repeat what is no check of a suite, by "recipe: check".
    """

    suites: Mapping[str, str] = {}
    seconds: Mapping[str, float] = {}
    strict: bool = False
    interrupted: bool = False
    not_judged: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    before: Mapping[str, Mapping[str, tuple[str, ...]]] | None = None
    only: str = ""
    quick: str = ""
    goldens: str = ""
    commands: Mapping[str, str] = {}
    coverage: tuple[Coverage, ...] = ()

    def command_for(self, recipe_id: str, check: str) -> str:
        """The command that repeats a check alone, or nothing if nobody knows where its suite lies."""
        if command := self.commands.get(f"{recipe_id}: {check}"):
            return command
        name = max((name for name in self.suites if recipe_id.startswith(f"{name}/")), key=len, default=None)
        return again_command(self.suites[name], recipe_id.removeprefix(f"{name}/"), check) if name else ""

    def write(self, out: Path) -> None:
        write_text(out / ABOUT, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def of(cls, folders: Iterable[Path]) -> AboutRun:
        """Of one run, or of several whose results are read together. Nothing is known where there is no file."""
        found = [_read(path) for folder in folders if (path := folder / ABOUT).exists()]
        return cls(
            suites={name: path for one in found for name, path in one.suites.items()},
            seconds={recipe: seconds for one in found for recipe, seconds in one.seconds.items()},
            strict=any(one.strict for one in found),
            interrupted=any(one.interrupted for one in found),
            not_judged=tuple(recipe for one in found for recipe in one.not_judged),
            missing=tuple(name for one in found for name in one.missing),
            unused=tuple(entry for one in found for entry in one.unused),
            before=_together([one.before for one in found if one.before is not None]),
            only=joined(only) if (only := _different(one.only for one in found)) else "",
            goldens=next((one.goldens for one in found if one.goldens), ""),
            quick=joined(quick) if (quick := _different(one.quick for one in found)) else "",
            commands={what: command for one in found for what, command in one.commands.items()},
            coverage=tuple(covered for one in found for covered in one.coverage),
        )


def _together(
    befores: list[Mapping[str, Mapping[str, tuple[str, ...]]]],
) -> Mapping[str, Mapping[str, tuple[str, ...]]] | None:
    return {recipe: ended for before in befores for recipe, ended in before.items()} if befores else None


def _different(texts: Iterable[str]) -> list[str]:
    return [text for text in dict.fromkeys(texts) if text]


def _read(path: Path) -> AboutRun:
    try:
        return AboutRun.model_validate_json(path.read_bytes())
    except OSError as error:
        raise Refused(f"cannot be read: {error.strerror}", where=str(path), do="make it readable") from None
    except ValidationError:
        raise Refused("is damaged", where=str(path), do="remove it, or run again") from None


def again_command(suite: str, recipe: str, check: str) -> str:
    """The command that repeats one check of one recipe."""
    return shlex.join(["harness", "run", suite, "--recipe", recipe, "-k", check])


def seen_from_here(path: Path) -> str:
    """A path as somebody would type it in this folder."""
    try:
        return min(os.path.relpath(path), str(path), key=len)
    except ValueError:  # on another drive
        return str(path)
