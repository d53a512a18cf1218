"""Every stack saves, every stack loads what each has saved: the whole table."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TypeVar

from harness.compat.judging import not_saved, other_cell, own_cell
from harness.compat.loading import Loaded, load_all
from harness.compat.saving import Saved, Wanted, save_all
from harness.compat.workplace import Workplace
from harness.compat_table import Cell, CompatTable, Outcome, Stack
from harness.stacks import Layered
from harness.stacks.processes import in_parallel

Made = TypeVar("Made")


@dataclass
class Workshop:
    """Makes and loads under several stacks at a time. `say` is told what is done."""

    place: Workplace
    workers: int
    say: Callable[[str], None] = lambda line: None

    def saved(self, stacks: Sequence[Layered], wanted: Sequence[Wanted]) -> dict[str, list[Saved]]:
        """Each recipe, saved under each stack: by stack."""
        found = {}
        jobs = [partial(self._timed, stack, partial(save_all, self.place, stack, wanted)) for stack in stacks]
        for stack, saves, seconds in in_parallel(jobs, self.workers, self.place.stop):
            found[stack.name] = saves
            there = sum(one.there for one in saves)
            self.say(f"stack {stack.name}: saved {there} of {len(saves)} recipes in {seconds:.0f} s")
        return found

    def loaded(
        self,
        stacks: Sequence[Layered],
        saves: Mapping[str, Sequence[Saved]],
        only: Collection[tuple[str, str]] | None = None,
    ) -> list[Loaded]:
        """All that was saved, loaded under each stack; or `only` what one stack has saved for another to load."""
        every = [one for stack in saves for one in saves[stack]]
        jobs = []
        for stack in stacks:
            wanted = [one for one in every if only is None or (one.stack, stack.name) in only]
            load = partial(load_all, self.place, stack, wanted, _bases(saves.get(stack.name, ())))
            jobs += [partial(self._timed, stack, load)] if wanted else []
        found = []
        for stack, loads, seconds in in_parallel(jobs, self.workers, self.place.stop):
            found += loads
            self.say(f"stack {stack.name}: loaded {len(loads)} directories in {seconds:.0f} s")
        return found

    @staticmethod
    def _timed(stack: Layered, job: Callable[[], Made]) -> tuple[Layered, Made, float]:
        started = time.perf_counter()
        return stack, job(), time.perf_counter() - started


def table_of(workshop: Workshop, stacks: Sequence[Layered], wanted: Sequence[Wanted]) -> CompatTable:
    """Save, load, and hold each load against what the saving stack saw."""
    started = time.perf_counter()
    saves = workshop.saved(stacks, wanted)
    loads = workshop.loaded(stacks, saves)
    cells = cells_of([stack.name for stack in stacks], saves, loads)
    names = [one.recipe_id for one in wanted]
    return CompatTable(
        harness=metadata.version("finetune-harness"),
        made=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        stacks=tuple(Stack(name=one.name, asked=one.asked, versions=one.versions) for one in stacks),
        recipes=tuple(names),
        cells=tuple(sorted(cells, key=lambda cell: names.index(cell.recipe))),
        seconds=round(time.perf_counter() - started, 1),
    )


def cells_of(names: Sequence[str], saves: Mapping[str, Sequence[Saved]], loads: Iterable[Loaded]) -> list[Cell]:
    """The cells of all saves, by the stack that saved and then by the one that loads."""
    by_place = {(one.saved.wanted.recipe_id, one.saved.stack, one.stack): one for one in loads}
    cells = []
    for saving in names:
        for saved in saves[saving]:
            own = by_place.get((saved.wanted.recipe_id, saving, saving))
            for loading in names:
                loaded = by_place.get((saved.wanted.recipe_id, saving, loading))
                cells.append(_judged(saved, loading, loaded, own))
    return cells


def _judged(saved: Saved, loading: str, loaded: Loaded | None, own: Loaded | None) -> Cell:
    if loaded is None or own is None:
        return not_saved(saved, loading)
    cell = own_cell(own)
    if loaded is own:
        return cell
    if cell.outcome is Outcome.ERROR:
        error = f"nothing to compare with: its own stack does not load it ({cell.error})"
        return cell.model_copy(update={"loaded_under": loading, "error": error, "seconds": loaded.seconds})
    return other_cell(loaded, own)


def _bases(saves: Iterable[Saved]) -> dict[str, Path | None]:
    """The bases that a stack has written for itself, by recipe."""
    return {one.wanted.recipe_id: one.base for one in saves}
