"""Data loaders with several workers: whether the workers of one give the same samples each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch.utils.data
from torch.utils.data import dataloader as torch_loader

from harness.recording.digests import Digest
from harness.recording.scripts.watcher import Watcher
from harness.trace.nested import tensors_in

if TYPE_CHECKING:
    from harness.recording.scripts.recorder import ScriptRecorder

BATCHES = 256  # of one pass over an iterable dataset, that are kept in mind
TURNS = 16  # of the workers of a dataset with places, that are looked at
PASSES = 64  # the first, of all loaders together
ELEMENTS = 1 << 14  # of each tensor


class LoaderWatch(Watcher):
    """Looks at the batches of iterable datasets, which each worker has to share out by itself, and at those of datasets
    with places, whose workers may draw the same random numbers each."""

    def __init__(self, recorder: ScriptRecorder) -> None:
        super().__init__(recorder)
        self._passes: list[_Pass | _Turns] = []
        self._running: dict[int, _Pass | _Turns] = {}  # by the iterator, which persistent workers begin anew
        several = getattr(torch_loader, "_MultiProcessingDataLoaderIter", None)
        if several is not None:
            self._patches.wrap(several, "_reset", self._begun)
            self._patches.wrap(several, "_next_data", self._next)

    def _begun(self, original: Any, iterator: Any, loader: Any, *args: Any, **kwargs: Any) -> None:
        original(iterator, loader, *args, **kwargs)
        self._running.pop(id(iterator), None)
        if loader.num_workers > 1 and len(self._passes) < PASSES:
            kind = _Pass if isinstance(loader.dataset, torch.utils.data.IterableDataset) else _Turns
            self._running[id(iterator)] = of = kind(type(loader.dataset).__name__, loader.num_workers)
            self._passes.append(of)

    def _next(self, original: Any, iterator: Any) -> Any:
        batch = original(iterator)
        if (of := self._running.get(id(iterator))) is not None:
            of.saw(batch)
        return batch

    def closing(self) -> None:
        """What was seen of each pass."""
        for of in self._passes:
            self.recorder.stream.emit("workers", **of.facts())
        self._passes, self._running = [], {}


class _Pass:
    """One pass over an iterable dataset: how many batches there were, and how many of them once more."""

    def __init__(self, dataset: str, workers: int) -> None:
        self._dataset, self._workers = dataset, workers
        self._batches = self._repeated = 0
        self._seen: set[str] = set()

    def saw(self, batch: Any) -> None:
        if self._batches >= BATCHES or not (print_ := _print(batch)):
            return
        self._batches += 1
        self._repeated += print_ in self._seen
        self._seen.add(print_)

    def facts(self) -> dict[str, Any]:
        return _facts(self._dataset, self._workers, self._batches, self._repeated, iterable=True)


class _Turns:
    """One pass over a dataset with places, of which the workers make a batch each in turn: how many of a turn's batches
    are that of the turn's first worker. Where turns do not differ either, it is the data that is always the same."""

    def __init__(self, dataset: str, workers: int) -> None:
        self._dataset, self._workers = dataset, workers
        self._turns: list[list[str]] = []

    def saw(self, batch: Any) -> None:
        if not self._turns or len(self._turns[-1]) == self._workers:
            self._turns.append([])
        if len(self._turns) <= TURNS:
            self._turns[-1].append(_print(batch))

    def facts(self) -> dict[str, Any]:
        whole = [turn for turn in self._turns if len(turn) == self._workers and all(turn)]
        told = len({turn[0] for turn in whole}) == len(whole) > 1
        repeated = sum(turn.count(turn[0]) - 1 for turn in whole) if told else 0
        return _facts(self._dataset, self._workers, self._workers * len(whole), repeated, iterable=False)


def _facts(dataset: str, workers: int, batches: int, repeated: int, iterable: bool) -> dict[str, Any]:
    return {"dataset": dataset, "workers": workers, "batches": batches, "repeated": repeated, "iterable": iterable}


def _print(batch: Any) -> str:
    """One number for the beginnings of a batch's tensors; nothing where it has none."""
    flat = [tensor.reshape(-1)[:ELEMENTS] for tensor in tensors_in(batch) if tensor.numel()]
    return Digest()(flat) if flat else ""
