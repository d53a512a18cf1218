"""Faults in which tensors are saved, and in which share one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.faults.registry import fault
from harness.faults.where import (
    LISTED,
    freezes_something,
    has_adapter,
    hide_tower,
    saves_part,
    saves_whole,
    saves_whole_by_itself,
    ties_head,
    tunes_tower_and_more,
)
from harness.recipe import Recipe
from harness.seams import Moment, Seam


def _saves_whole_with_a_frozen_part(recipe: Recipe) -> bool:
    return saves_whole(recipe) and freezes_something(recipe) and recipe.family != LISTED


def _saves_whole_model_in_fp32(recipe: Recipe) -> bool:
    return saves_whole(recipe) and not recipe.precision.startswith("pure")


def _saves_whole_without_adapter(recipe: Recipe) -> bool:
    return saves_whole(recipe) and not has_adapter(recipe) and not ties_head(recipe)


@fault(
    Seam.AFTER_SAVE,
    caught_by="saved_tensors_as_trained",
    finding="TensorNotSaved",
    size="one tensor",
    applies=saves_part,
)
def one_trained_tensor_left_out(directory: Path, moment: Moment) -> None:
    """One of the trained tensors is not in the save of what was trained."""
    _rewrite(directory, lambda key: True, lambda tensors, key: tensors.pop(key))


@fault(
    Seam.SAVE_OPTIONS,
    caught_by="saved_tensors_as_trained",
    finding="TensorNotSaved",
    size="one attribute",
    applies=lambda recipe: saves_whole_by_itself(recipe) and tunes_tower_and_more(recipe),
)
def saved_while_the_tower_lay_in_a_list(options: Any, moment: Moment) -> None:
    """The vision tower is kept in a Python list when the model is saved: no state dict holds what lies there."""
    hide_tower(moment.model)


@fault(
    Seam.AFTER_SAVE,
    caught_by="saved_tensors_as_trained",
    finding="TensorDiffers",
    size="one tensor's rounding",
    applies=_saves_whole_model_in_fp32,
)
def one_tensor_saved_in_another_precision(directory: Path, moment: Moment) -> None:
    """One trained tensor is rounded to bfloat16 on its way to the file."""
    import torch

    trained = _trained_names(moment.model)
    _rewrite(
        directory,
        lambda key: _is_one_of(key, trained),
        lambda tensors, key: tensors.update({key: tensors[key].to(torch.bfloat16).to(tensors[key].dtype)}),
    )


@fault(
    Seam.AFTER_SAVE,
    caught_by="saved_tensors_as_trained",
    finding="FrozenSavedAltered",
    size="one element",
    applies=_saves_whole_with_a_frozen_part,
)
def one_frozen_element_saved_altered(directory: Path, moment: Moment) -> None:
    """One element of one frozen tensor is another number in the file."""
    trained = _trained_names(moment.model)

    def alter(tensors: dict[str, Any], key: str) -> None:
        tensors[key].reshape(-1)[0] += 1

    _rewrite(directory, lambda key: key.endswith("weight") and not _is_one_of(key, trained), alter)


@fault(
    Seam.AFTER_SAVE,
    caught_by="saved_tensors_as_trained",
    finding="TensorUnasked",
    size="one tensor",
    applies=saves_whole,
)
def one_tensor_too_many(directory: Path, moment: Moment) -> None:
    """One tensor more lies in a shard, under the name that a wrapper gives it."""
    _rewrite(directory, lambda key: True, lambda tensors, key: tensors.update({f"base.{key}": tensors[key].clone()}))


@fault(
    Seam.AFTER_BUILD,
    caught_by="ties_kept",
    finding="TiedWrongly",
    size="one tie",
    applies=_saves_whole_without_adapter,
)
def head_tied_to_embeddings(model: Any, moment: Moment) -> None:
    """The output layer shares the embeddings' tensor, which in the published model are apart."""
    modules = dict(model.named_modules())
    head, embeddings = (next(m for p, m in modules.items() if p.endswith(name)) for name in ("lm_head", "embed_tokens"))
    head.weight = embeddings.weight


def _trained_names(model: Any) -> list[str]:
    return [path for path, parameter in model.named_parameters() if parameter.requires_grad]


def _is_one_of(key: str, names: list[str]) -> bool:
    """Whether a saved key is one of the parameters: files and memory may differ in the first parts of a name."""
    return any(_same_end(key.split("."), name.split(".")) for name in names)


def _same_end(one: list[str], other: list[str]) -> bool:
    """The last three parts are the same, or as many as the shorter has: `lm_head.weight` has but two."""
    count = min(len(one), len(other), 3)
    return one[-count:] == other[-count:]


def _rewrite(directory: Path, wanted: Any, change: Any) -> None:
    """Change the first tensor that is wanted, in its file."""
    from safetensors.torch import load_file, save_file

    for shard in sorted(directory.glob("*.safetensors")):
        tensors = load_file(shard)
        for key in sorted(tensors):
            if wanted(key):
                change(tensors, key)
                save_file(tensors, shard, metadata={"format": "pt"})
                return
    raise LookupError("no saved tensor is wanted")
