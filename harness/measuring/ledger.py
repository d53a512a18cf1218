"""What holds memory in a step: the most in each phase, what is left, and whose gradients and states there are.

On a GPU its allocator says it. On a CPU torch's own allocations are added up, byte by byte, from its profiler: the
resident size of a process knows pages, and a tiny model is less than what the libraries take by chance.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch.autograd.profiler import profile, record_function
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from harness.measuring.pace import trains

FORWARD, BACKWARD, OPTIMIZER, BETWEEN = "forward", "backward", "optimizer", "between"
_MARK = "harness: "


@dataclass(frozen=True)
class Phase:
    """A stretch of a step: how many bytes there were at its beginning, and how many at the most, above the first."""

    name: str
    step: int
    began: int
    peak: int


class Meter(Protocol):
    """Says what was allocated between marks."""

    def mark(self, name: str, step: int) -> None: ...

    def phases(self) -> list[Phase]: ...


class AllocatorMeter:
    """By the allocator of a GPU, which counts as a kernel is queued: nothing has to be waited for."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._open: tuple[str, int, int] | None = None
        self._base = 0
        self._phases: list[Phase] = []

    def mark(self, name: str, step: int) -> None:
        now = torch.cuda.memory_allocated(self.device)
        if self._open is None:
            self._base = now
        else:
            peak = torch.cuda.max_memory_allocated(self.device)
            self._phases.append(Phase(*self._open, peak - self._base))
        torch.cuda.reset_peak_memory_stats(self.device)
        self._open = name, step, now - self._base

    def phases(self) -> list[Phase]:
        return self._phases


class ProfilerMeter:
    """By the profiler's record of every allocation on the CPU."""

    def __init__(self) -> None:
        self._profile: Any = None
        self._phases: list[Phase] = []

    def mark(self, name: str, step: int) -> None:
        if self._profile is None:
            self._profile = profile(profile_memory=True)
            self._profile.__enter__()
        with record_function(f"{_MARK}{step} {name}"):
            pass

    def phases(self) -> list[Phase]:
        if self._profile is not None:
            self._profile.__exit__(None, None, None)
            events = [(e.start_ns(), e.name(), e.nbytes()) for e in self._profile.kineto_results.events()]
            self._phases, self._profile = list(_phases(sorted(events))), None
        return self._phases


def _phases(events: list[tuple[int, str, int]]) -> Iterator[Phase]:
    """From allocations, frees and marks in the order of time; what follows the last mark is no phase."""
    level = peak = 0
    opened: tuple[str, int, int] | None = None
    for _, name, size in events:
        if name == "[memory]":
            level += size
            peak = max(peak, level)
        elif name.startswith(_MARK):
            if opened is not None:
                yield Phase(*opened, peak)
            step, _, phase = name.removeprefix(_MARK).partition(" ")
            opened, peak = (phase, int(step), level), level


def meter_on(device: torch.device) -> Meter:
    return AllocatorMeter(device) if device.type == "cuda" else ProfilerMeter()


@dataclass
class Ledger:
    """Watches so many steps of a model's training, whatever makes them, from the first on."""

    model: Any
    accumulation: int
    steps: int
    watched: list[Phase] = field(default_factory=list)
    gradients: dict[str, int] = field(default_factory=dict)
    states: dict[str, int] = field(default_factory=dict)
    _meter: Meter | None = None
    _forwards: int = 0
    _hooks: list[Any] = field(default_factory=list)

    def start(self) -> None:
        gc.collect()  # what nobody holds any more is freed now, not in some step
        self._hooks = [
            self.model.register_forward_pre_hook(self._forward_begins),
            self.model.register_forward_hook(lambda module, *_: self._mark(BACKWARD) if trains(module) else None),
            register_optimizer_step_pre_hook(lambda optimizer, *_: self._optimizer_begins(optimizer)),
            register_optimizer_step_post_hook(lambda optimizer, *_: self._mark(BETWEEN)),
        ]

    def stop(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        if self._meter is not None:
            self.watched, self._meter = self._meter.phases(), None

    @property
    def step(self) -> int:
        return (self._forwards - 1) // self.accumulation

    def _forward_begins(self, module: Any, _: Any) -> None:
        if not trains(module):
            return
        self._forwards += 1
        if self._forwards == 1:
            self._meter = meter_on(next(self.model.parameters()).device)
        self._mark(FORWARD)
        if self.step >= self.steps:
            self.stop()

    def _optimizer_begins(self, optimizer: torch.optim.Optimizer) -> None:
        self._mark(OPTIMIZER)
        if self._meter is not None and self.step == 1:
            named = list(self.model.named_parameters())
            self.gradients = {name: _bytes(one.grad) for name, one in named if one.grad is not None}
            self.states = {name: _bytes(optimizer.state[one]) for name, one in named if one in optimizer.state}

    def _mark(self, name: str) -> None:
        if self._meter is not None:
            self._meter.mark(name, self.step)

    def to_json(self) -> dict[str, Any]:
        """The most in each phase over the steps from the second on, and what there was as each step began."""
        later = [phase for phase in self.watched if phase.step > 0]
        names = dict.fromkeys(phase.name for phase in later)
        return {
            "peak": {name: max(phase.peak for phase in later if phase.name == name) for name in names},
            "began": list(_begins(self.watched)),
        }


def _begins(phases: list[Phase]) -> Iterator[int]:
    """The bytes there were as each step from the second on began."""
    known = {0}
    for phase in phases:
        if phase.step not in known:
            known.add(phase.step)
            yield phase.began


def _bytes(value: Any) -> int:
    """Of a tensor, or of all tensors of an optimizer's state of one parameter that have as many elements as it."""
    if isinstance(value, torch.Tensor):
        return value.numel() * value.element_size()
    return sum(_bytes(one) for one in value.values() if isinstance(one, torch.Tensor) and one.numel() > 1)
