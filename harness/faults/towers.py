"""Faults in towers that are made anew from directories of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.checkpoint.json_files import CONFIG
from harness.faults.directories import edit
from harness.faults.registry import fault
from harness.faults.saved_files import rewrite
from harness.recipe import Recipe
from harness.recipe.starting import own_towers
from harness.seams import Moment, Seam

KEPT = ("unfreeze_mm_vision_tower", "optimize_vision_tower", "optimize_vision_tower_aux")


def _has_own_tower(recipe: Recipe) -> bool:
    return bool(own_towers(recipe))


def _has_positions(recipe: Recipe) -> bool:
    """Whether a tower is made anew that has a table of positions: the second one, of convolutions, has none."""
    return "mm_vision_tower" in own_towers(recipe)


def _trains_own_tower(recipe: Recipe) -> bool:
    trains = "vision" in {part.component for part in recipe.tune}
    return _has_positions(recipe) and trains and recipe.saves == "full"


@fault(
    Seam.AFTER_SAVE,
    caught_by="unused_weights_expected",
    finding="TrainedTowerLost",
    size="one setting",
    applies=_trains_own_tower,
)
def trained_tower_made_anew_from_its_directory(directory: Path, moment: Moment) -> None:
    """The saved configuration does not say that the tower trained: a loader makes it anew, as it was before."""

    def forget(settings: dict[str, Any]) -> None:
        for name in KEPT:
            settings.pop(name, None)

    edit(directory / CONFIG, forget)


@fault(
    Seam.TOWER_WRITTEN,
    caught_by="unused_weights_expected",
    finding="TowerDiffers",
    size="one element",
    applies=_has_own_tower,
)
def one_element_of_a_tower_differs(directory: Path, moment: Moment) -> None:
    """One element in the tower's own directory is another number than in the checkpoint."""

    def change(tensors: dict[str, Any]) -> None:
        tensors[min(tensors)].reshape(-1)[0] += 1

    for file in directory.glob("*.safetensors"):
        rewrite(file, change)


@fault(
    Seam.TOWER_WRITTEN,
    caught_by="base_directory_sound",
    finding="BaseBroken",
    size="one tensor",
    applies=_has_positions,
)
def tower_for_smaller_pictures_under_the_same_name(directory: Path, moment: Moment) -> None:
    """The tower in the directory has fewer positions than the checkpoint's: it is one for smaller pictures."""

    def shrink(tensors: dict[str, Any]) -> None:
        key = next(key for key in tensors if "position_embedding" in key)
        tensors[key] = tensors[key][: len(tensors[key]) // 2].clone()

    for file in directory.glob("*.safetensors"):
        rewrite(file, shrink)
