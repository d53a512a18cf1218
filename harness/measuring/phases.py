"""What holds memory while a model is loaded, built, tuned and saved: the most, and what is left of it.

On a CPU the file that a tensor lies in counts from when it is mapped, with all its bytes: as torch counts it. What was
there before a phase may go within it, and is not always counted off.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from harness import stack
from harness.machine import resident
from harness.measuring.ledger import meter_on

LOAD, BUILD, TUNE, SAVE = "load", "build", "tune", "save"
ON_THE_HOST = (LOAD, BUILD)  # a model is moved to its device when it is tuned
_LEFT, _END = "left", "end"


@dataclass
class Phases:
    """By name of a phase, the bytes there were at the most beside those that it began with, how many it has left, and
    by how many the process grew as the system sees it, in pages, with libraries that it loads, and what is not torch's;
    and of what was given to it, what a recipe does not tell."""

    device: torch.device
    held: dict[str, dict[str, int]] = field(default_factory=dict)
    given: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        gc.collect()  # what nobody holds any more is freed now, not within
        meter = meter_on(torch.device("cpu") if name in ON_THE_HOST else self.device)
        meter.mark(name, 0)
        began = resident.forget_most()
        try:
            with stack.loading_in_one_thread():
                yield
            gc.collect()
        finally:
            grew = 0 if began is None else resident.most() - began
            meter.mark(_LEFT, 0)
            meter.mark(_END, 0)
            within, left = meter.phases()
            self.held[name] = {"peak": within.peak, "left": left.began, "resident": grew}

    def loaded(self, model: Any, base: Path, beside: Sequence[Path], twice: bool) -> None:
        """A model was loaded from the files of a base directory. `beside` are the files and directories whose weights
        are to be laid over its own; `twice` says that it is to be made a second time."""
        self.given["files"] = _weights_at(base)
        self.given["buffers"] = sum(one.nbytes for one in model.buffers())
        again = sum(one.nbytes for one in (*model.parameters(), *model.buffers())) if twice else 0
        self.given["laid over"] = sum(map(_weights_at, beside)) + again

    def to_json(self, model: Any) -> dict[str, Any]:
        buffers = sum(one.nbytes for one in model.buffers()) - self.given["buffers"]
        return {**self.held, "given": {**self.given, "buffers of adapters": buffers}}


def _weights_at(place: Path) -> int:
    """Bytes of a file, or of those in a directory that weights are in."""
    files = [place] if place.is_file() else place.iterdir()
    return sum(file.stat().st_size for file in files if file.suffix in {".safetensors", ".bin", ".pt", ".pth"})
