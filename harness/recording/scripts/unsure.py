"""Forwards in eval mode under which gradients are on: whether one is of the training shows in its backward pass.

A model that from_pretrained gives is in eval mode, and many loops leave it there. A look at it between steps is too,
and need not switch gradients off; but nobody keeps what comes of that, nor its graph, until the next backward pass.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

from harness.trace.nested import tensors_in


class Alive:
    """Lies in the graph of a forward, and lives as long."""


class UnsureForwards:
    """What is to be told of each, in order, with whether its graph lives."""

    def __init__(self) -> None:
        self._held: list[tuple[dict[str, Any], weakref.ref[Alive]]] = []

    def hold(self, facts: dict[str, Any], output: Any) -> None:
        alive = Alive()
        for tensor in tensors_in(output):
            if tensor.grad_fn is not None:
                beside: Any = tensor.grad_fn.metadata
                beside[Alive] = alive
        self._held.append((facts, weakref.ref(alive)))

    def over(self) -> Iterator[dict[str, Any]]:
        """Those of which nothing is left, and which were of no training; they are held no longer."""
        held, self._held = self._held, []
        for facts, alive in held:
            if alive() is not None:
                self._held.append((facts, alive))
            else:
                yield {**facts, "training": False}

    def trained(self) -> Iterator[dict[str, Any]]:
        """Those that a backward pass is of, now that one begins."""
        yield from self.over()
        held, self._held = self._held, []
        yield from ({**facts, "training": True} for facts, _ in held)

    def none_of(self) -> Iterator[dict[str, Any]]:
        """All of them, of which none is followed by a backward pass."""
        held, self._held = self._held, []
        yield from ({**facts, "training": False} for facts, _ in held)
