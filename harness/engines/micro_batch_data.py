"""The micro-batches of a run as a data set whose items they are, for trainers that draw their data by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.recipe import Recipe


class MicroBatchData:
    """One pass over the data of all processes, of which this one can give its own micro-batches only.

    A trainer deals the items out in turns, one to each process; one that asks for another's is told so.
    """

    def __init__(self, steps: Sequence[Sequence[dict[str, Any]]], recipe: Recipe, rank: int, world: int) -> None:
        self._steps = steps
        self._rank, self._world = rank, world
        self._places = [(step, micro) for step, size in enumerate(_sizes(steps, recipe)) for micro in range(size)]
        self._held: tuple[int, Sequence[dict[str, Any]]] | None = None  # of what is made late, one step's at a time

    def __len__(self) -> int:
        return len(self._places) * self._world

    def __getitem__(self, item: int) -> dict[str, Any]:
        place, rank = divmod(item, self._world)
        if rank != self._rank:
            raise IndexError(f"process {self._rank} asks for a micro-batch of process {rank}")
        step, micro = self._places[place]
        if self._held is None or self._held[0] != step:
            self._held = step, self._steps[step]
        return self._held[1][micro]


def _sizes(steps: Sequence[Sequence[dict[str, Any]]], recipe: Recipe) -> list[int]:
    """How many micro-batches each step of one pass has: what is left at the end of the data is a step of its own."""
    accumulation = recipe.optimizer.accumulation
    groups = len(steps) if recipe.epoch is None else min(len(steps), -(-recipe.epoch // accumulation))
    if isinstance(steps, list):
        return [len(group) for group in steps[:groups]]
    sizes = [accumulation] * groups
    if recipe.epoch is not None and groups * accumulation > recipe.epoch:
        sizes[-1] = recipe.epoch - (groups - 1) * accumulation
    return sizes


def the_one(items: list[dict[str, Any]]) -> dict[str, Any]:
    """The collator of items that are whole micro-batches."""
    return items[0]
