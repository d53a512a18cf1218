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

BATCHES = 256  # of one pass, that are kept in mind
ELEMENTS = 1 << 14  # of each tensor


class LoaderWatch(Watcher):
    """Looks at the batches of iterable datasets, which each worker has to share out by itself."""

    def __init__(self, recorder: ScriptRecorder) -> None:
        super().__init__(recorder)
        self._passes: dict[int, _Pass] = {}
        several = getattr(torch_loader, "_MultiProcessingDataLoaderIter", None)
        if several is not None:
            self._patches.wrap(several, "__init__", self._begun)
            self._patches.wrap(several, "_next_data", self._next)

    def _begun(self, original: Any, iterator: Any, loader: Any, *args: Any, **kwargs: Any) -> None:
        original(iterator, loader, *args, **kwargs)
        iterable = isinstance(loader.dataset, torch.utils.data.IterableDataset)
        if iterable and loader.num_workers > 1:
            self._passes[id(iterator)] = _Pass(type(loader.dataset).__name__, loader.num_workers)

    def _next(self, original: Any, iterator: Any) -> Any:
        batch = original(iterator)
        if (of := self._passes.get(id(iterator))) is not None:
            of.saw(batch)
        return batch

    def closing(self) -> None:
        """What was seen of each pass."""
        for of in self._passes.values():
            self.recorder.stream.emit(
                "workers", dataset=of.dataset, workers=of.workers, batches=of.batches, repeated=of.repeated
            )
        self._passes = {}


class _Pass:
    """One pass over a loader's data: how many batches there were, and how many of them once more."""

    def __init__(self, dataset: str, workers: int) -> None:
        self.dataset, self.workers = dataset, workers
        self.batches = self.repeated = 0
        self._seen: set[str] = set()

    def saw(self, batch: Any) -> None:
        if self.batches >= BATCHES:
            return
        flat = [tensor.reshape(-1)[:ELEMENTS] for tensor in tensors_in(batch) if tensor.numel()]
        if not flat:
            return
        self.batches += 1
        print_ = Digest()(flat)
        self.repeated += print_ in self._seen
        self._seen.add(print_)
