"""What a run leaves beside its results, and reports read there: where its suites lay, and its traces' headers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from harness.recipe import Suite
from harness.refusal import Refused
from harness.result import Result
from harness.store import write_text

SUITES = "suites.json"


def note_suites(out: Path, suites: Iterable[Suite]) -> None:
    """Write where the suites lie, as seen from here, so that reports can name the command that repeats a check."""
    places = {suite.name: os.path.relpath(suite.path) for suite in suites}
    write_text(out / SUITES, json.dumps(places, indent=1, sort_keys=True) + "\n")


def commands_again(folders: Sequence[Path], results: Iterable[Result]) -> dict[tuple[str, str], str]:
    """The command that repeats each check alone, by recipe and check."""
    places: dict[str, Any] = {}
    for folder in folders:
        if (folder / SUITES).exists():
            places |= _read(folder / SUITES)
    commands = {}
    for result in results:
        suite, _, recipe = result.recipe.partition("/")
        path = str(places.get(suite, f"{suite}.yaml"))
        commands[result.recipe, result.check] = f"harness run {quote(path)} --recipe {quote(recipe)} -k {result.check}"
    return commands


def measured(folders: Sequence[Path]) -> tuple[dict[str, float], dict[str, Any]]:
    """Seconds per recipe, and the environment of the first run, from the traces."""
    seconds: dict[str, float] = {}
    environment: dict[str, Any] = {}
    for header in (path for folder in folders for path in sorted(folder.glob("runs/*/trace/header.json"))):
        environment = environment or _within(header, "environment")
        times = header.with_name("measured.json")
        if times.exists():
            stages = _within(times, "seconds").values()
            seconds[str(_read(header).get("recipe_id"))] = sum(s for s in stages if isinstance(s, (int, float)))
    return seconds, environment


def _within(path: Path, name: str) -> dict[str, Any]:
    """An object within a file's object, empty where there is none."""
    value = _read(path).get(name, {})
    return value if isinstance(value, dict) else {}


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Refused(f"cannot be read: {error.strerror}", where=str(path), do="make it readable") from None
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Refused("is damaged", where=str(path), do="remove it, or run again")
    return value
