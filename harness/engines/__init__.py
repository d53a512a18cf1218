"""Layer 2, making side. An engine runs the steps of a recipe on a model that is ready to train."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from harness import stack
from harness.own_code import named
from harness.recipe import Recipe
from harness.recipe.rules import NEEDS_INSTALLED
from harness.refusal import Refused
from harness.seams import Seams

Batches = Sequence[Sequence[dict[str, Any]]]
ComponentOf = Callable[[str], str]
LossOf = Callable[[Any, dict[str, Any]], Any]


class Engine(Protocol):
    """What runs the steps; options are for those that know them."""

    def __call__(
        self,
        model: Any,
        batches: Batches,
        recipe: Recipe,
        seams: Seams,
        component_of: ComponentOf,
        loss_of: LossOf,
        /,
        **options: Any,
    ) -> Any: ...


MODULES = {
    "torch": "harness.engines.torch_loop",
    "trainer": "harness.engines.hf_trainer",
    "deepspeed": "harness.engines.deepspeed_loop",
}


def prepared(name: str) -> None:
    """Import what the engine of that name runs on, before anything is watched: what is watched must be there."""
    if name in NEEDS_INSTALLED and stack.has(name):
        importlib.import_module(MODULES[name])


def engine(name: str) -> Engine:
    """The engine of that name, or an installed one, or one of `module:function`.

    It is called with model, micro-batches per step, recipe, seams, path-to-component, and what makes one training
    forward and gives its loss. What it gives back may have an `optimizer`, for files that training goes on from.
    """
    if name in NEEDS_INSTALLED and not stack.has(name):
        raise Refused(f"engine {name} is not installed", do=NEEDS_INSTALLED[name])
    if name in MODULES:
        train: Engine = importlib.import_module(MODULES[name]).train
        return train
    own: Engine = named(name, "engine")
    return own
