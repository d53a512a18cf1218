"""The bare loop: what a step costs without an engine, over the same model and the same batches."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from harness.measuring.pace import Stopwatch
from harness.trace.nested import mapped

Steps = Sequence[Sequence[dict[str, Any]]]


@dataclass(frozen=True)
class Bare:
    """A step and nothing else: forward and backward of each micro-batch, clipping, AdamW.

    The rate is zero: a step of it costs as much, and the model stays as it is. `groups` makes the parameter groups that
    the run has: an optimizer works through them in their order, which decides what it holds at a time.
    """

    model: Any
    loss_of: Callable[[Any, dict[str, Any]], Any]
    autocast: torch.dtype | None = None
    clip_norm: float | None = None
    fused: bool = False
    groups: Callable[[], list[dict[str, Any]]] | None = None

    @property
    def device(self) -> torch.device:
        device: torch.device = next(self.model.parameters()).device
        return device

    @property
    def trained(self) -> list[torch.Tensor]:
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def placed(self, steps: Steps) -> list[list[dict[str, Any]]]:
        """The batches where the model is, all made before the first step: no bare step waits for its data."""
        device = self.device
        if device.type == "cpu":
            return [list(step) for step in steps]
        return [[mapped(batch, lambda tensor: tensor.to(device)) for batch in step] for step in steps]

    def optimizer(self) -> torch.optim.Optimizer:
        groups = self.groups() if self.groups else [{"params": self.trained}]
        still: list[dict[str, Any]] = [{**group, "lr": 0.0} for group in groups]
        return torch.optim.AdamW(still, fused=self.fused or None)

    def backward(self, batch: dict[str, Any], share: float = 1.0) -> None:
        (self.loss(batch) * share).backward()

    def loss(self, batch: dict[str, Any]) -> Any:
        kind, dtype = self.device.type, self.autocast
        with torch.autocast(kind, dtype=dtype) if dtype else contextlib.nullcontext():
            return self.loss_of(self.model, batch)

    def step(self, micro_batches: Sequence[dict[str, Any]], optimizer: torch.optim.Optimizer) -> None:
        for batch in micro_batches:
            self.backward(batch, 1 / len(micro_batches))
        if self.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.trained, self.clip_norm)
        optimizer.step()
        optimizer.zero_grad()


def bare_seconds(bare: Bare, steps: Steps, stopwatch: Stopwatch, *, warm_up: int, windows: int) -> None:
    """Time so many windows of the bare loop, each over all the steps given."""
    bare.model.train()
    placed, optimizer = bare.placed(steps), bare.optimizer()
    for micro_batches in placed[:warm_up]:
        bare.step(micro_batches, optimizer)
    stopwatch.edge()
    for _ in range(windows):
        for micro_batches in placed:
            bare.step(micro_batches, optimizer)
        stopwatch.edge()
