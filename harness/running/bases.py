"""The directories that training starts from: written or made once, and verified before anything is trained.

A stranger's process loads the base, encodes with it and generates, so that a broken base is not blamed on the
fine-tune. Imports no torch itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from harness import stack
from harness.checkpoint.files import HANDED_OVER, part_path
from harness.families import family_of
from harness.families.family import has_processor
from harness.families.promises import WEIGHTS
from harness.launch import Job, last_lines
from harness.places import INVENTORY, MODULES, REQUEST, SAVED, STREAM
from harness.recipe import Recipe
from harness.recipe.fields import OWN_TOWER, Data, EarlierRecipe, Source
from harness.recipe.starting import base_and_parts, own_towers, saved_by
from harness.refusal import Refused
from harness.reloading.request import Request
from harness.running.disk import refuse_full_disk
from harness.running.workers import Workers, folder_name
from harness.trace.reader import read_stream

MERGED = "merged"
MakeStage = Callable[[str, Recipe, Path], None]


@dataclass(frozen=True)
class Base:
    """A directory to start from, the files that are laid over it, and the folder of what was found, if it was verified.

    Of an adapter the file is its configuration; `towers` are the configuration's entries for towers with directories of
    their own.
    """

    directory: Path
    parts: tuple[dict[str, str], ...] = ()
    towers: tuple[tuple[str, str], ...] = ()
    verified: Path | None = None

    @property
    def stream(self) -> Path | None:
        return self.verified / STREAM if self.verified else None

    @property
    def inventory(self) -> Path | None:
        return self.verified / INVENTORY if self.verified else None

    @property
    def record(self) -> dict[str, Any]:
        """What the process that verified it has found."""
        records = read_stream(self.stream / "events.jsonl") if self.stream else []
        return next((dict(record) for record in records if record["kind"] == "reloaded"), {})


PLAIN = Data()


def asked_of(recipe: Recipe) -> Data:
    """What a base is given to compute: the same samples for every recipe that says nothing of a template. Under one of
    its own the recipe's own kinds of samples, for it may take no others."""
    return PLAIN if recipe.data.template is None else Data(template=recipe.data.template, mix=recipe.data.mix)


class Bases:
    """The bases of one output directory. `make_stage` makes the run of an earlier recipe in a folder."""

    def __init__(self, workers: Workers, root: Path, make_stage: MakeStage, faults: Sequence[str] = ()) -> None:
        self.workers = workers
        self.root = root
        self.faults = list(faults)
        self._make_stage = make_stage

    def start_of(self, recipe: Recipe) -> Base:
        """Where a recipe starts: its family's own tiny base, a directory by path, what earlier recipes saved."""
        base, parts = base_and_parts(recipe)
        asked = asked_of(recipe)
        files = [(part.kind, self._place(recipe.family, part.source, asked)) for part in parts]
        laid_over = tuple({"kind": kind, "file": str(part_path(kind, place).resolve())} for kind, place in files)
        towers = tuple(
            (setting, self._tower(recipe.family, setting, where)) for setting, where in own_towers(recipe).items()
        )
        return Base(self._place(recipe.family, base, asked), laid_over, towers)

    def _tower(self, name: str, setting: str, where: str) -> str:
        """The directory that a tower is made anew from; the family's own is taken out of its base."""
        if where != OWN_TOWER:
            return str(Path(where).resolve())
        directory = self.root / f"{folder_name(name)}.towers" / setting
        base = self._place(name, "fresh")
        argument = {"family": name, "base": str(base), "setting": setting, "directory": str(directory)}
        self._once(directory, lambda: self._write(name, directory, "make_tower", argument))
        return str(directory.resolve())

    def _place(self, name: str, source: Source, asked: Data = PLAIN) -> Path:
        """The directory that something comes from, once it is there. What is merged is asked for what it computes."""
        if isinstance(source, EarlierRecipe):
            earlier = saved_by(source)
            place = self.root / _told_apart(f"{name}_{source.recipe}", earlier.model_dump_json())
            self._once(place, lambda: self._make_stage(source.recipe, earlier, place))
            return (self._merged(name, earlier, place, asked) if source.merge else place / SAVED).resolve()
        if source != "fresh":
            return Path(source).resolve()
        directory = self.root / stack.folder_of_code(folder_name(name))
        argument = {"family": name, "directory": str(directory)}
        self._once(directory, lambda: self._write(name, directory, "make_base", argument))
        return directory.resolve()

    def _merged(self, name: str, earlier: Recipe, place: Path, asked: Data) -> Path:
        """The whole model that comes of what an earlier recipe started from and what it has saved over that, and what
        it computed before of the samples that it will be verified with."""
        directory = place / (MERGED if asked == PLAIN else _told_apart(MERGED, asked.model_dump_json()))

        def make() -> None:
            start = self.start_of(earlier)
            settings = earlier.model_dump(mode="json", exclude_defaults=True)
            places = {"base": str(start.directory), "saved": str(place / SAVED), "directory": str(directory)}
            argument = {"recipe": settings, "parts": start.parts, "data": asked.model_dump(mode="json"), **places}
            self._write(name, directory, "harness.making.merging:make_merged", argument, self.workers.of(earlier))

        self._once(directory, make)
        return directory

    def verified(self, recipe: Recipe) -> Base:
        """The recipe's base, after a process that knows no family has loaded it in the recipe's own precision."""
        start = self.start_of(recipe)
        where = "" if recipe.device == "cpu" else f".{recipe.device}"
        tf32 = ".tf32" if where and recipe.tf32 else ""
        place = self.root / f"{self._name_of(start, recipe)}.{WEIGHTS[recipe.precision]}{where}{tf32}"
        self._once(place / INVENTORY, lambda: self._verify(recipe, start, place))
        return replace(start, verified=place)

    def _name_of(self, start: Base, recipe: Recipe) -> str:
        """A name for all that a verification depends on; for a family's own base, loaded as it comes, that family's."""
        how = [
            recipe.family,
            recipe.trust_remote_code,
            recipe.save.loader,
            recipe.save.processor_loader,
            recipe.attention,
            None if asked_of(recipe) == PLAIN else asked_of(recipe).model_dump_json(),
        ]
        plain = start.directory.parent == self.root.resolve() and not any(how[2:]) and not (start.parts or start.towers)
        name = start.directory.name
        return name if plain else _told_apart(name, json.dumps([str(start.directory), start.parts, start.towers, *how]))

    def _write(self, name: str, directory: Path, job: str, argument: dict[str, Any], by: Workers | None = None) -> None:
        output = directory.with_name(f"{directory.name}.output.txt")
        output.parent.mkdir(parents=True, exist_ok=True)
        job_of_it = Job(
            job if ":" in job else f"harness.making.directories:{job}", {**argument, "faults": self.faults}, str(output)
        )
        ended = (by or self.workers).makers.run(job_of_it)
        if ended.code != 0:
            what = f"the base of {name} could not be written ({ended.description}): {last_lines(output)}"
            raise Refused(what, do=f"see {output}")

    def _verify(self, recipe: Recipe, start: Base, place: Path) -> None:
        """Encode with the base in one process, load it in another. What cannot be encoded is loaded all the same."""
        place.mkdir(parents=True, exist_ok=True)
        neutral = recipe.model_copy(update={"data": asked_of(recipe), "agrees_with": ()})
        settings = neutral.model_dump(mode="json", exclude_defaults=True)
        processor = has_processor(family_of(recipe), recipe)
        argument = {"recipe": settings, "base": str(start.directory), "place": str(place), "processor": processor}
        output = place / "output.txt"
        limits = recipe.limits
        made = self.workers.of(recipe).makers.run(
            Job("harness.making.directories:make_probe_inputs", argument, str(output), limits.seconds, limits.memory_gb)
        )
        request = (
            _request(place) if made.code == 0 else asdict(_without_inputs(recipe, start.directory, place, processor))
        )
        handed = start.directory.with_name(f"{start.directory.name}{HANDED_OVER}")
        request["handed"] = str(handed) if handed.is_file() else None
        request.update(inventory=str(place / INVENTORY), parts=start.parts, settings=dict(start.towers))
        request["towers"] = [asdict(tower) for tower in family_of(recipe).handles.towers]
        if made.code != 0:
            request["encoding_error"] = last_lines(output) or made.description
        job = Job("harness.reloading.jobs:verify_base", request, str(output), limits.seconds, limits.memory_gb)
        if self.workers.of(recipe).reloaders.run(job).code != 0:
            refuse_full_disk(place, last_lines(output))

    def _once(self, made: Path, make: Callable[[], None]) -> None:
        """Make something unless it is there; one process at a time, for parallel workers share their bases."""
        with _locked(self.root / f".{made.relative_to(self.root).parts[0]}.lock"):
            if not made.exists():
                make()


def _told_apart(name: str, all_of_it: str) -> str:
    """A readable folder's name that two different things never share."""
    return f"{folder_name(name)}~{hashlib.sha256(all_of_it.encode()).hexdigest()[:12]}"


def _request(place: Path) -> dict[str, Any]:
    request: dict[str, Any] = json.loads((place / REQUEST).read_text(encoding="utf-8"))
    return request


def _without_inputs(recipe: Recipe, directory: Path, place: Path, processor: bool) -> Request:
    return Request(
        directory=str(directory),
        stream=str(place / STREAM),
        inputs="",
        arguments={},
        generation={},
        prompts={},
        dtype=WEIGHTS[recipe.precision],
        device=recipe.device,
        tf32=recipe.tf32,
        attention=recipe.attention,
        modules=str(place / MODULES / "loaded"),
        processor=processor,
        trust_remote_code=recipe.trust_remote_code,
        loader=recipe.save.loader,
        processor_loader=recipe.save.processor_loader,
    )


@contextlib.contextmanager
def _locked(lock: Path) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as handle:
        with contextlib.suppress(ImportError):
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
