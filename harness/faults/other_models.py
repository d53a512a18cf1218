"""Faults by which a directory is of another model, of another size, or of none at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.faults.registry import fault
from harness.faults.where import saves, saves_whole, ships_code
from harness.recipe import Recipe
from harness.seams import Moment, Seam

CONFIG = "config.json"
LAYERS = ("num_hidden_layers", "n_layers")  # what configurations call their number
TABLES = ("position_embedding.weight", "vision_tower.pos_embed", "vpm.pos_embed")


def _has_a_table(recipe: Recipe) -> bool:
    """Whether the base holds a tower, and with it a table of positions."""
    return recipe.family.startswith(("llava", "minicpm", "omnilmm-12b")) and not recipe.family.endswith("-no-tune-clip")


@fault(
    Seam.BASE_WRITTEN,
    caught_by="base_directory_sound",
    finding="BaseBroken",
    size="one row of a table",
    applies=_has_a_table,
)
def tower_of_another_size_under_its_name(base: Path, moment: Moment) -> None:
    """The tower's table of positions is one place shorter, as that of a tower for smaller pictures."""
    from safetensors.torch import load_file, save_file

    for shard in sorted(base.glob("*.safetensors")):
        tensors = load_file(shard)
        for key in (key for key in tensors if key.endswith(TABLES)):
            table = tensors[key]
            tensors[key] = (table[:-1] if table.ndim == 2 else table[:, :-1]).contiguous()
            save_file(tensors, shard, metadata={"format": "pt"})
            return
    raise LookupError("no table of positions")


@fault(
    Seam.BASE_WRITTEN,
    caught_by="base_directory_sound",
    finding="BaseBroken",
    size="one entry",
    applies=lambda recipe: not ships_code(recipe),
)
def base_names_no_model_type(base: Path, moment: Moment) -> None:
    """The base's configuration does not say of what model it is."""
    _edit(base / CONFIG, lambda settings: settings.pop("model_type"))


@fault(
    Seam.AFTER_BUILD,
    caught_by="base_weights_arrived",
    finding="WeightsNotLoaded",
    size="one tensor",
)
def one_loaded_tensor_zeroed(model: Any, moment: Moment) -> None:
    """The first tensor of the loaded model is zeros when training begins."""
    next(iter(model.parameters())).data.zero_()


@fault(
    Seam.AFTER_SAVE,
    caught_by="saved_directory_loads",
    finding="KeysLost",
    size="one layer",
    applies=saves_whole,
)
def configuration_with_a_layer_less(directory: Path, moment: Moment) -> None:
    """The saved configuration has one layer less than the weights: those of the last are left over."""

    def shorten(settings: dict[str, Any]) -> None:
        text = settings.get("text_config", settings)
        text[next(name for name in LAYERS if name in text)] -= 1
        if "layer_types" in text:
            text["layer_types"] = text["layer_types"][:-1]

    _edit(directory / CONFIG, shorten)


@fault(
    Seam.AFTER_SAVE,
    caught_by="saved_directory_complete",
    finding="DirectoryNotListed",
    size="one save",
    applies=saves,
)
def nothing_saved_at_the_end(directory: Path, moment: Moment) -> None:
    """The run ends without a save, as loops do that save at an interval of steps alone."""
    shutil.rmtree(directory)


def _edit(file: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    settings = json.loads(file.read_text(encoding="utf-8"))
    change(settings)
    file.write_text(json.dumps(settings), encoding="utf-8")
