"""Faults in what is laid over the model that training starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.checkpoint.files import TRAINABLES
from harness.faults.registry import fault
from harness.recipe import Recipe
from harness.recipe.starting import base_and_parts, continued_adapter
from harness.seams import Moment, Seam


def _starts_with(*kinds: str) -> Any:
    def applies(recipe: Recipe) -> bool:
        return any(part.kind in kinds for part in base_and_parts(recipe)[1])

    return applies


def _continues_adapter(recipe: Recipe) -> bool:
    return continued_adapter(recipe) is not None


@fault(
    Seam.PART,
    caught_by="parts_meet_the_model",
    finding="NothingLoaded",
    size="one prefix",
    applies=_starts_with("projector", "trainables"),
)
def part_laid_over_before_its_modules_exist(tensors: dict[str, Any], moment: Moment) -> dict[str, Any]:
    """The file's names are those of modules that the model does not have yet; strict=False drops them all."""
    return {f"not_built_yet.{key}": tensor for key, tensor in tensors.items()}


@fault(
    Seam.PART,
    caught_by="parts_meet_the_model",
    finding="KeysLeftOver",
    size="one key",
    applies=_starts_with("projector", "trainables"),
)
def one_key_of_a_part_under_another_name(tensors: dict[str, Any], moment: Moment) -> dict[str, Any]:
    """One key of the file is one that the model does not know."""
    first = min(tensors)
    return {f"{key}_of_before" if key == first else key: tensor for key, tensor in tensors.items()}


@fault(
    Seam.AFTER_SAVE,
    caught_by="adapter_file_holds_adapter_only",
    finding="AdapterTensorMissing",
    size="one file",
    applies=lambda recipe: recipe.save.beside_adapter is not None,
)
def what_trained_beside_the_adapter_not_written(directory: Path, moment: Moment) -> None:
    """The adapter alone is saved, as trainers do in the middle of a run: what trained beside it is lost."""
    for name in TRAINABLES:
        (directory / name).unlink(missing_ok=True)


@fault(
    Seam.AFTER_TUNING,
    caught_by="adapter_continues_as_saved",
    finding="AdapterNotContinued",
    size="one element",
    applies=_continues_adapter,
)
def one_continued_element_begins_anew(model: Any, moment: Moment) -> None:
    """One element of the adapter that is continued begins as zero."""
    _, factor = next((path, p) for path, p in model.named_parameters() if "lora_A" in path)
    factor.data.reshape(-1)[0] = 0
