"""Layer 2, making side. An engine runs the steps of a recipe on a model that is ready to train."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from harness.own_code import named
from harness.recipe import Recipe
from harness.seams import Seams

Batches = Sequence[Sequence[dict[str, Any]]]
ComponentOf = Callable[[str], str]
LossOf = Callable[[Any, dict[str, Any]], Any]
Engine = Callable[[Any, Batches, Recipe, Seams, ComponentOf, LossOf], Any]


def engine(name: str) -> Engine:
    """The engine of that name, or an installed one, or one of `module:function`.

    It is called with model, micro-batches per step, recipe, seams, path-to-component, and what makes one training
    forward and gives its loss. What it gives back may have an `optimizer`, for files that training goes on from.
    """
    if name == "torch":
        from harness.engines.torch_loop import train

        return train
    if name == "trainer":
        from harness.engines.hf_trainer import train as by_trainer

        return by_trainer
    own: Engine = named(name, "engine")
    return own
