"""Faults of Mini-Gemini's own: a second tower with stochastic depth, towers run without gradient, a class by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.faults.registry import fault
from harness.faults.where import saves_whole, sees_images
from harness.recipe import Recipe
from harness.seams import Moment, Seam


def _has_two_towers(recipe: Recipe) -> bool:
    return recipe.family.startswith("mini-gemini")


def _tunes(recipe: Recipe, component: str) -> bool:
    return component in {tune.component for tune in recipe.tune}


def _freezes_the_second(recipe: Recipe) -> bool:
    return _has_two_towers(recipe) and not _tunes(recipe, "vision_aux") and sees_images(recipe)


def _optimizes_the_first(recipe: Recipe) -> bool:
    return _has_two_towers(recipe) and not recipe.peft and _tunes(recipe, "vision") and sees_images(recipe)


def _optimizes_the_second(recipe: Recipe) -> bool:
    return _has_two_towers(recipe) and not recipe.peft and _tunes(recipe, "vision_aux") and sees_images(recipe)


def _named_for_another_class(recipe: Recipe) -> bool:
    """Whether a directory called "saved" would be of Llama's class, by the words that scripts look for, and is not."""
    return saves_whole(recipe) and recipe.family.startswith(("mini-gemini-2b", "mini-gemini-8x7b"))


@fault(
    Seam.AFTER_BUILD,
    caught_by="frozen_parts_deterministic",
    finding="FrozenNotDeterministic",
    size="one setting",
    applies=_freezes_the_second,
)
def stochastic_depth_left_on(model: Any, moment: Moment) -> None:
    """The frozen second tower leaves out blocks in train mode, as it does unless a script says drop_path False."""
    blocks = [module for module in model.modules() if type(module).__name__ == "DropPath"]
    for number, block in enumerate(blocks):
        block.drop_prob = model.config.drop_path_rate * number / (len(blocks) - 1)


@fault(
    Seam.AFTER_BUILD,
    caught_by="pixels_matter",
    finding="PixelsIgnored",
    size="one module's output",
    applies=_freezes_the_second,
)
def finer_features_zeroed(model: Any, moment: Moment) -> None:
    """The second tower gives nothing: patches mine the same wherever they look."""
    model.model.vision_tower_aux.register_forward_hook(lambda _module, _inputs, output: output * 0)


@fault(
    Seam.BASE_WRITTEN,
    caught_by="base_directory_sound",
    finding="BaseBroken",
    size="one number",
    applies=_has_two_towers,
)
def clip_of_another_size_in_the_base(base: Path, moment: Moment) -> None:
    """The base says that its CLIP takes larger pictures than its weights have positions for."""

    def enlarge(settings: dict[str, Any]) -> None:
        settings["vision_config"]["image_size"] *= 2
        settings["image_size_aux"] *= 2

    _edit(base / "config.json", enlarge)


@fault(
    Seam.AFTER_TUNING,
    caught_by="trainable_parameters_moved",
    finding="NoGradient",
    size="one setting",
    applies=_optimizes_the_first,
)
def first_tower_run_without_gradient(model: Any, moment: Moment) -> None:
    """CLIP is set to train and is run without gradient: its is_optimize is that of the checkpoint continued from."""
    model.model.vision_tower.is_optimize = False


@fault(
    Seam.AFTER_TUNING,
    caught_by="trainable_parameters_moved",
    finding="NoGradient",
    size="one setting",
    applies=_optimizes_the_second,
)
def second_tower_run_without_gradient(model: Any, moment: Moment) -> None:
    """The same of the ConvNeXt."""
    model.model.vision_tower_aux.is_optimize = False


@fault(
    Seam.AFTER_SAVE,
    caught_by="saved_directory_loads",
    finding="OtherClass",
    size="one name",
    applies=_named_for_another_class,
)
def class_chosen_by_the_directory_s_name(directory: Path, moment: Moment) -> None:
    """What is saved is of the class that scripts read from a directory's name: Llama's, if it has no known word."""

    def name_llama(settings: dict[str, Any]) -> None:
        settings["model_type"] = "mini_gemini"
        settings["auto_map"] = {
            "AutoConfig": "configuration_mini_gemini.MGMConfig",
            "AutoModelForCausalLM": "modeling_mini_gemini.MGMLlamaForCausalLM",
        }

    _edit(directory / "config.json", name_llama)


@fault(
    Seam.AFTER_SAVE,
    caught_by="saved_directory_loads",
    finding="KeysLost",
    size="one call",
    applies=lambda recipe: _has_two_towers(recipe) and saves_whole(recipe),
)
def towers_and_blocks_left_for_later(directory: Path, moment: Moment) -> None:
    """The saved code leaves towers and blocks for a loader to make, and what is saved of them is "not used"."""
    file = directory / "modeling_mini_gemini.py"
    code = file.read_text(encoding="utf-8")
    file.write_text(code.replace("        self._add_vision(config)\n", ""), encoding="utf-8")


def _edit(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    settings = json.loads(file.read_text(encoding="utf-8"))
    change(settings)
    file.write_text(json.dumps(settings), encoding="utf-8")
