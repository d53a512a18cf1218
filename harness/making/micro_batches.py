"""The micro-batches of a run, made before it begins or as each step comes to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from harness.trace.nested import tensors_in

if TYPE_CHECKING:
    from harness.data import Sample
    from harness.families import Family
    from harness.families.family import Loaded
    from harness.recipe import Recipe

Batch = dict[str, Any]
Rows = list["Sample"]


@dataclass(frozen=True)
class MadeLate(Sequence[list[Batch]]):
    """The micro-batches of each step, made whenever a step is asked for and kept by nobody."""

    steps: list[list[Rows]]
    make: Callable[[Rows], Batch]

    def __len__(self) -> int:
        return len(self.steps)

    @overload
    def __getitem__(self, step: int) -> list[Batch]: ...

    @overload
    def __getitem__(self, step: slice) -> list[list[Batch]]: ...

    def __getitem__(self, step: int | slice) -> list[Batch] | list[list[Batch]]:
        if isinstance(step, slice):
            return [self[place] for place in range(*step.indices(len(self)))]
        return [self.make(rows) for rows in self.steps[step]]


@dataclass(frozen=True)
class Fed:
    """What a run is fed: micro-batches by step, what its trace must say of them, and the most bytes held at a time."""

    steps: Sequence[Sequence[Batch]]
    facts: dict[str, Any]
    bytes_held: int


def fed(recipe: Recipe, family: Family, loaded: Loaded, rank: int = 0, world: int = 1, first: int = 0) -> Fed:
    """The micro-batches of each step, in the samples' order. Lazily, no more than those of one step are ever held.

    The steps before `first` are another process's, and the trace says nothing of them. Several processes take turns: of
    a step's micro-batches the first is for the first process, the next for the next.
    """
    from harness.data import digest, select
    from harness.making.announcing import announced

    size, accumulation = recipe.data.batch_size, recipe.optimizer.accumulation
    samples = select(_samples(recipe), recipe.data.mix, recipe.samples_seen)
    rows = [list(samples[at : at + size]) for at in range(0, len(samples), size)]
    together = accumulation * world
    groups = [rows[at : at + together][rank % world :: world] for at in range(0, len(rows), together)]
    steps = [groups[step % len(groups)] for step in range(recipe.steps)]  # where the data end, they begin anew

    def encoded(of: Rows) -> list[dict[str, Any]]:
        return [family.encode(one, loaded.processor, recipe.data.max_length) for one in of]

    facts: dict[str, list[Any]] = {}
    kept: list[list[Batch]] = []
    held: list[int] = []
    for number, group in enumerate(steps):
        inputs = [encoded(of) for of in group]
        made = [family.collate(one, loaded.processor) for one in inputs]
        if number >= first:
            for name, found in announced(group, inputs, made, family, loaded.processor).items():
                facts.setdefault(name, []).extend(found)
        held.append(_bytes(made))
        if not recipe.data.lazy:
            kept.append(made)
    single = {token: len(_ids(loaded.processor, token)) for token in family.intent(recipe).single_tokens}
    said = {"digest": digest(samples), "single": single, **facts}
    if recipe.data.lazy:
        return Fed(MadeLate(steps, lambda of: family.collate(encoded(of), loaded.processor)), said, max(held))
    return Fed(kept, said, sum(held))


def _samples(recipe: Recipe) -> Any:
    from harness.data import SHIPPED, read_samples

    return read_samples(SHIPPED if recipe.data.source == "shipped" else Path(recipe.data.source))


def _ids(processor: Any, text: str) -> list[int]:
    ids: list[int] = processor.tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _bytes(batches: list[Batch]) -> int:
    return sum(tensor.nbytes for batch in batches for value in batch.values() for tensor in tensors_in(value))
