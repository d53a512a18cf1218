"""Optimizers that step another one within their own step, as Lookahead and SAM do: the step is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class Nesting:
    """Tells the steps of a training from those that are a part of another optimizer's."""

    def __init__(self) -> None:
        self._outer: torch.optim.Optimizer | None = None
        self._parts: set[int] = set()

    def begins(self, optimizer: torch.optim.Optimizer) -> bool:
        """Whether a step that begins stands for itself. One that raised has never ended: the next that holds other
        parameters is no part of it."""
        outer = self._outer
        if outer is not None and outer is not optimizer and not _held(outer).isdisjoint(_held(optimizer)):
            self._parts.add(id(optimizer))
            return False
        self._outer = optimizer
        self._parts.clear()
        return True

    def ends(self, optimizer: torch.optim.Optimizer) -> bool:
        """Whether a step that ends stands for itself."""
        if id(optimizer) in self._parts:
            self._parts.discard(id(optimizer))
            return False
        self._outer = None
        return True


def _held(optimizer: torch.optim.Optimizer) -> set[int]:
    return {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
