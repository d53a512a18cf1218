"""What a script's steps took: time and memory, beside the trace, for two equal runs differ in it."""

from __future__ import annotations

import json
import time
from collections import deque
from pathlib import Path
from typing import Any

import torch

from harness.machine import device_kind, resident
from harness.machine.clock import waited
from harness.trace.atomic import write_atomically

KEPT = 5000  # steps, the newest
FILE = "measured.json"
CPU = torch.device("cpu")


class StepCosts:
    """The seconds of each step from the end of the one before, and of them those that looking took.

    Of a process that is killed nothing is known: it is written down in the end.
    """

    def __init__(self) -> None:
        self._steps: deque[tuple[int, float, float]] = deque(maxlen=KEPT)
        self._last: float | None = None
        self._began, self._waited = 0.0, 0.0
        self._optimizers: set[str] = set()
        self.peak = 0  # on GPUs, before a script made them forget

    def stepped(self, step: int, optimizer: str, looked: float) -> None:
        """An optimizer has made the step of this number, and so many seconds of it went into looking."""
        now = time.perf_counter()
        if self._last is None:
            self._began, self._waited = now, waited(CPU)
        else:
            self._steps.append((step, now - self._last, looked))
        self._last = now
        self._optimizers.add(optimizer)

    def forget_peak(self) -> None:
        """The script is about to make its GPUs forget what they took at the most."""
        self.peak = max(self.peak, _allocated())

    def write(self, directory: Path, device: torch.device, held: int) -> None:
        """Write down what is known, beside a process's events. `held` are the bytes that the recorder keeps."""
        peak = max(self.peak, _allocated()) if device.type == "cuda" else resident.most()
        facts = {
            "device": device_kind(device),
            "optimizers": len(self._optimizers),
            "steps": [step for step, *_ in self._steps],
            "seconds": [round(seconds, 6) for _, seconds, _ in self._steps],
            "looking": [round(looked, 6) for *_, looked in self._steps],
            "window": round((self._last or 0.0) - self._began, 6),
            "waited": round(waited(CPU) - self._waited, 6) if device.type == "cpu" else 0.0,
            "memory": {"peak": peak, "kind": "allocated" if device.type == "cuda" else "resident", "held": held},
        }
        write_atomically(directory / FILE, json.dumps({"costs": facts}) + "\n")


def _allocated() -> int:
    """The most bytes that lay on one of the GPUs in use."""
    cuda: Any = torch.cuda
    if not cuda.is_initialized():
        return 0
    return max((int(cuda.max_memory_allocated(index)) for index in range(cuda.device_count())), default=0)
