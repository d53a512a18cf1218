"""Faults by which the same batch gives other outputs: chance in what is frozen, and in evaluation."""

from __future__ import annotations

from typing import Any

from harness.faults.registry import fault
from harness.faults.where import freezes_something, has_tower, sees_images
from harness.recipe import Recipe
from harness.seams import Moment, Seam

RATE = 0.1


def _freezes_the_tower(recipe: Recipe) -> bool:
    adapted = recipe.peft.components if recipe.peft else ()
    return freezes_something(recipe) and "vision" not in adapted and _looks(recipe)


def _looks(recipe: Recipe) -> bool:
    return sees_images(recipe) and has_tower(recipe)


def _first_module(model: Any) -> Any:
    """The first module that has parameters of its own: of the tower, in every family."""
    names = ("vision_tower", "vpm", "vision_encoder")
    towers = [path for path, _ in model.named_parameters() if any(name in path for name in names)]
    return model.get_submodule(towers[0].rpartition(".")[0])


@fault(
    Seam.AFTER_TUNING,
    caught_by="frozen_parts_deterministic",
    finding="FrozenNotDeterministic",
    size="one module",
    applies=_freezes_the_tower,
)
def dropout_in_one_frozen_module(model: Any, moment: Moment) -> None:
    """One module of the frozen tower drops a tenth of its outputs in train mode."""
    from torch.nn.functional import dropout

    _first_module(model).register_forward_hook(lambda module, _, output: dropout(output, RATE, module.training))


@fault(
    Seam.AFTER_TUNING,
    caught_by="frozen_parts_deterministic",
    finding="FrozenNotDeterministic",
    size="one layer, once in ten passes",
    applies=_freezes_the_tower,
)
def one_frozen_module_dropped_at_times(model: Any, moment: Moment) -> None:
    """One module of the frozen tower gives nothing at a tenth of its passes in train mode: stochastic depth."""
    import torch

    def dropped(module: Any, _: Any, output: Any) -> Any:
        return output * (torch.rand(()) >= RATE) if module.training else output

    _first_module(model).register_forward_hook(dropped)


@fault(
    Seam.AFTER_TUNING,
    caught_by="evaluation_deterministic",
    finding="EvaluationNotDeterministic",
    size="one module",
    applies=_looks,
)
def dropout_that_knows_no_mode(model: Any, moment: Moment) -> None:
    """One module of the tower drops a tenth of its outputs, in eval mode too."""
    from torch.nn.functional import dropout

    _first_module(model).register_forward_hook(lambda module, _, output: dropout(output, RATE, training=True))


@fault(
    Seam.AFTER_TUNING,
    caught_by="evaluation_deterministic",
    finding="EvaluationAlters",
    size="one element",
    applies=_looks,
)
def one_buffer_updated_in_evaluation(model: Any, moment: Moment) -> None:
    """One module of the tower keeps a statistic, and updates it in eval mode alone."""
    import torch

    def counted(module: Any, _: Any, output: Any) -> None:
        if not module.training:
            module.passes += 1

    module = _first_module(model)
    module.register_buffer("passes", torch.zeros(1), persistent=False)
    module.register_forward_hook(counted)
