"""Times steps in windows of several, with the machine's own rate measured at each window's ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from harness.machine.clock import own_seconds, waited


@dataclass
class Windows:
    """The seconds that each window took, how many more it waited for a core, and the rate of a matrix product at each
    end of them: one more than there are windows."""

    seconds: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    matmul: list[float] = field(default_factory=list)

    def to_json(self) -> dict[str, list[float]]:
        return {"seconds": self.seconds, "waited": self.waited, "matmul": self.matmul}


class Stopwatch:
    """Ends one window and begins the next; what is measured between them is in neither."""

    def __init__(self, device: torch.device, rate: Callable[[], float]) -> None:
        self.device = device
        self.rate = rate
        self.windows = Windows()
        self._began: tuple[float, float] | None = None

    def edge(self) -> None:
        if self._began is not None:
            self.windows.seconds.append(own_seconds(self.device) - self._began[0])
            self.windows.waited.append(waited(self.device) - self._began[1])
        self.windows.matmul.append(self.rate())
        self._began = own_seconds(self.device), waited(self.device)


class Pace:
    """Sees the steps of a model's training by its forwards alone, whatever engine makes them.

    A window ends as the first forward after it begins, so that all that an engine does between two steps is in it: the
    batch, the optimizer, what it logs. `begin` is called once, when the warm-up is over.
    """

    def __init__(
        self,
        model: Any,
        begin: Callable[[], Stopwatch],
        *,
        accumulation: int,
        warm_up: int,
        window: int,
        windows: int,
    ) -> None:
        self.stopwatch: Stopwatch | None = None
        self._begin = begin
        self._accumulation, self._warm_up, self._window = accumulation, warm_up, window
        self._edges = windows + 1
        self._forwards = 0
        self._hook = model.register_forward_pre_hook(self._forward)

    def stop(self) -> None:
        self._hook.remove()

    def _forward(self, module: Any, _: Any) -> None:
        if not trains(module):
            return
        step, micro = divmod(self._forwards, self._accumulation)
        self._forwards += 1
        timed = step - self._warm_up
        if micro or timed < 0 or timed % self._window or timed // self._window >= self._edges:
            return
        if self.stopwatch is None:
            self.stopwatch = self._begin()
        self.stopwatch.edge()


def trains(module: Any) -> bool:
    """Whether a forward of the model that is about to be made is one of training, and no evaluation."""
    return bool(module.training) and torch.is_grad_enabled()
