"""Pinning: the runs first, somewhere else; then all goldens replaced at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.golden.archive import packed
from harness.golden.content import PROVENANCE, content_of
from harness.golden.index import Entry, Pinned, file_of
from harness.golden.provenance import Provenance, provenance, refuse_dirty, tree_of
from harness.golden.runs import broken, make, places_of
from harness.golden.seen import PARTS
from harness.recipe import Recipe
from harness.refusal import Refused
from harness.running.runner import Runner
from harness.trace.reader import Trace


@dataclass(frozen=True)
class Wanted:
    """A recipe that is to be pinned, and the suite that it is in."""

    recipe_id: str
    recipe: Recipe
    suite: Path


@dataclass(frozen=True)
class Made:
    """What became of a recipe that was to be pinned: a golden, or why there is none."""

    recipe_id: str
    pinned: Pinned | None
    reason: str = ""


def refuse_unpinnable(wanted: Sequence[Wanted], golden: Path, dirty: bool) -> None:
    """Refuse, before anything is made, what would leave no checkpoint or what no commit holds."""
    for one in wanted:
        if one.recipe.saves == "nothing":
            where = f"{one.suite}: {one.recipe_id}"
            raise Refused("saves nothing, and a golden is what was saved", where=where, do="pin another recipe")
    for suite in () if dirty else dict.fromkeys(one.suite for one in wanted):
        refuse_dirty(tree_of(suite, golden), suite)


def made(runner: Runner, wanted: Sequence[Wanted], golden: Path) -> Iterator[Made]:
    """Make the run of each recipe, and of that a golden. Nothing is kept yet."""
    for one in wanted:
        trace = make(runner, one.recipe_id, one.recipe)
        reason = broken(trace) or _unloadable(trace)
        yield Made(one.recipe_id, None, reason) if reason else Made(one.recipe_id, _golden(runner, one, trace, golden))


def _unloadable(trace: Trace) -> str:
    """What of a saved directory did not load: a golden is a checkpoint that does."""
    record = trace.reloaded or {}
    return next(
        (f"the {part} did not load: {record[f'{part}_error']}" for part in PARTS if f"{part}_error" in record), ""
    )


def _golden(runner: Runner, one: Wanted, trace: Trace, golden: Path) -> Pinned:
    run = trace.directory.parent
    data = next((event["digest"] for event in trace.of("data")), None)
    environment = trace.header["environment"]
    source = provenance(one.recipe_id, one.recipe, environment, data, tree_of(one.suite, golden))
    files = content_of(places_of(runner, one.recipe, run, one.suite))
    archive = packed({**files, PROVENANCE: (source.model_dump_json(indent=1) + "\n").encode()})
    return Pinned(_entry(one, source, archive, golden), archive)


def _entry(one: Wanted, source: Provenance, archive: bytes, golden: Path) -> Entry:
    file, digest = file_of(one.recipe_id, archive)
    return Entry(
        file=file,
        bytes=len(archive),
        sha256=digest,
        suite=Path(os.path.relpath(one.suite.resolve(), golden.resolve())).as_posix(),
        saves=source.saves,
        pinned=source.pinned,
        commit=source.commit,
        dirty=source.dirty,
        torch=source.environment["torch_build"],
        transformers=source.environment["versions"].get("transformers", ""),
        cpu_capability=source.environment["cpu_capability"],
        threads=source.environment["threads"],
    )
