"""Verifying: the recipe run again, the old checkpoint loaded again, and what of that is not as it was."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from pydantic import ValidationError

from harness.comparator import BITWISE, Difference, Tolerances, across_stacks, compare, compare_observed
from harness.golden.archive import unpacked, write_files
from harness.golden.content import PROVENANCE, Places, arrays_kept, content_of, lay_out, request_of
from harness.golden.drift import Drift, drifts
from harness.golden.index import Entry, is_whole, strays
from harness.golden.known import Excused, Incompatible, excused
from harness.golden.provenance import Change, Provenance, changes
from harness.golden.releases import by_rule
from harness.golden.runs import broken, made_once, places_of
from harness.golden.seen import inputs_seen, keys_parted, load_seen, movement_seen, with_inputs_and_loads
from harness.golden.stacks import Shelf, of_another_stack
from harness.launch import Job, last_lines
from harness.places import INPUTS, MODULES, RELOAD, REQUEST, SAVED
from harness.recipe import Recipe
from harness.refusal import Refused
from harness.running.runner import Runner
from harness.running.workers import folder_name
from harness.trace.reader import Trace, read_stream, read_trace

STREAM = "loaded-again"
NEEDED = (
    PROVENANCE,
    "trace/header.json",
    "trace/rank-0/events.jsonl",
    "trace/reload/events.jsonl",
    f"{RELOAD}/{REQUEST}",
    f"{RELOAD}/{INPUTS}",
)


class Status(str, Enum):
    """One word about a golden."""

    HOLDS = "holds"
    DRIFTED = "drifted"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    UNUSED = "unused"


@dataclass(frozen=True)
class Verified:
    """What became of a golden: a word, why, what has drifted, what is different around it, and what was allowed: by
    tolerances, by rules about releases of libraries, as known incompatibilities of them."""

    recipe_id: str
    status: Status
    reason: str = ""
    drifts: tuple[Drift, ...] = ()
    change: Change = field(default_factory=Change)
    tolerances: str = ""
    commit: str | None = None
    seconds: float = 0.0
    by_rule: dict[str, int] = field(default_factory=dict)
    excused: tuple[Excused, ...] = ()


@dataclass(frozen=True)
class Asked:
    """A golden, and the recipe that it is of today; None where that is gone."""

    recipe_id: str
    entry: Entry
    recipe: Recipe | None
    suite: Path
    shelf: Shelf

    @property
    def name(self) -> str:
        return self.shelf.name(self.recipe_id)

    @property
    def known(self) -> list[Incompatible]:
        """What is known not to agree with today's libraries."""
        return [one for one in self.shelf.known if one.of(self.name)]


def wrong_files(shelves: Collection[Shelf]) -> list[Verified]:
    """Archives in the folders that belong to no golden; not those that an interrupted change has left."""
    why = "no golden of goldens.json is in it; take it away"
    found = ((shelf, name) for shelf in shelves for name in strays(shelf.folder, shelf.goldens.values())[0])
    return [Verified(shelf.name(name), Status.UNUSED, why) for shelf, name in found]


def verified(runner: Runner, asked: Asked) -> Verified:
    """Hold one golden against today. Never raises for a golden that is not as it should be."""
    started = time.perf_counter()
    folder = asked.shelf.folder
    archive = folder / asked.entry.file
    if asked.recipe is None:
        return Verified(asked.name, Status.UNUSED, f"{asked.suite} has no such recipe")
    if not archive.exists():
        return Verified(asked.name, Status.MISSING, f"{archive} is not there")
    try:
        if not is_whole(folder, asked.entry):
            unpacked(archive)
            raise Refused("is not the archive that was pinned", where=str(archive), do="take it from version control")
        files = unpacked(archive)
        _refuse_incomplete(files, archive)
        source = Provenance.model_validate_json(files.pop(PROVENANCE))
        _refuse_other_stack(asked.shelf, source, archive)
    except Refused as refused:
        return Verified(asked.name, Status.UNREADABLE, str(refused))
    except ValidationError:
        return Verified(asked.name, Status.UNREADABLE, f"{archive}: holds no provenance")
    try:
        found = _held(runner, asked, asked.recipe, source, files)
    except Refused as refused:  # the base cannot be written, say: that is for this golden to tell, and for each other
        drift, change = Drift("run", 1, str(refused)), changes(source, source.environment, asked.recipe)
        found = Verified(asked.name, Status.DRIFTED, drifts=(drift,), change=change)
    return replace(found, commit=source.commit, seconds=round(time.perf_counter() - started, 2))


def _refuse_other_stack(shelf: Shelf, source: Provenance, archive: Path) -> None:
    if shelf.stack and (other := of_another_stack(shelf, source.environment.get("versions", {}))):
        what = f"was pinned under {other}, as its folder says"
        raise Refused(what, where=str(archive), do="pin it again: nox -s old_goldens")


def _refuse_incomplete(files: Mapping[str, bytes], archive: Path) -> None:
    if lacking := [name for name in NEEDED if name not in files]:
        raise Refused(f"holds no {lacking[0]}", where=str(archive), do="take it from version control")


def _held(runner: Runner, asked: Asked, recipe: Recipe, source: Provenance, files: Mapping[str, bytes]) -> Verified:
    name = folder_name(asked.name)
    old, new = runner.out / "pinned" / name, runner.out / "now" / name
    run = made_once(runner, asked.recipe_id, recipe)
    places = places_of(runner, recipe, run.directory.parent, asked.suite)
    lay_out(files, old, replace(places, run=old))
    then = read_trace(old / "trace")
    loaded = _loaded_again(runner, recipe, old, then, places)
    change = changes(source, run.header.get("environment") or source.environment, recipe)
    tolerances = with_inputs_and_loads(across_stacks(then, run) if change.stack else BITWISE, recipe)
    found = [*keys_parted(then, loaded), *compare_observed(load_seen(then), load_seen(loaded), tolerances)[1]]
    reasons = [why] if (why := broken(run)) else []
    if not reasons:
        write_files(content_of(places, arrays_kept(files, old)), new)
        now = read_trace(new / "trace")
        reasons, parted = _parted(then, now, (old, new), tolerances)
        found = [*parted, *found]
    versions = [source.environment.get("versions", {}), run.header.get("environment", {}).get("versions", {})]
    found, covered = by_rule(found, versions[0], versions[1], then.naming)
    found, known, gone = excused(found, asked.known)
    reasons += [f"a known incompatibility is seen no more, and has to go: {one.reason} ({one.link})" for one in gone]
    told = (*(Drift("run", 1, reason) for reason in reasons), *drifts(found))
    status = Status.DRIFTED if told else Status.HOLDS
    return Verified(asked.name, status, "", told, change, tolerances.name, by_rule=covered, excused=known)


def _parted(
    then: Trace, now: Trace, folders: tuple[Path, Path], tolerances: Tolerances
) -> tuple[list[str], list[Difference]]:
    """Why two runs cannot be compared, and where they part ways: what went in, then the run in all its fields."""
    seen = [[*inputs_seen(folder, one), *movement_seen(one)] for folder, one in zip(folders, (then, now), strict=True)]
    compared = compare(then, now, tolerances, may_differ=("data",))
    beside = compare_observed(seen[0], seen[1], tolerances)[1]
    return list(compared.reasons), [*beside, *compared.differences]


def _loaded_again(runner: Runner, recipe: Recipe, directory: Path, then: Trace, places: Places) -> Trace:
    """The old checkpoint, loaded by a process that knows no family: what that saw, under the names of the old trace."""
    stream, output = directory / STREAM, directory / f"{STREAM}.txt"
    request = {
        **request_of(directory),
        "directory": str(directory / SAVED),
        "base": str(places.base),
        "stream": str(stream / "reload"),
        "inputs": str(directory / RELOAD / INPUTS),
        "modules": str(directory / MODULES),
    }
    job = Job("harness.reloading.jobs:reload", request, str(output), recipe.limits.seconds, recipe.limits.memory_gb)
    ended = runner.workers.reloaders.run(job)
    records = read_stream(stream / "reload" / "events.jsonl")
    if not any(record["kind"] == "reloaded" for record in records):
        said = f"{ended.description}: {last_lines(output)}"
        records.append({"kind": "reloaded", "model_error": said})
    return Trace(stream, then.header, reload=records, rules=then.rules)
