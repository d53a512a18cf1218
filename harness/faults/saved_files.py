"""Faults in what is saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.faults.registry import fault
from harness.faults.where import (
    has_tower,
    saves_parameters,
    saves_processor,
    saves_safetensors,
    saves_whole,
    sees_images,
)
from harness.recipe import Recipe
from harness.seams import Moment, Seam


def _saves_whole_with_images(recipe: Recipe) -> bool:
    return saves_whole(recipe) and sees_images(recipe) and has_tower(recipe)


@fault(
    Seam.AFTER_SAVE,
    caught_by="saved_directory_loads",
    finding="KeysLost",
    size="one key",
    applies=saves_whole,
)
def one_key_left_out(directory: Path, moment: Moment) -> None:
    """One tensor is missing from its shard."""
    shard = _shards(directory)[0]
    rewrite(shard, lambda tensors: tensors.pop(sorted(tensors)[0]))


@fault(
    Seam.AFTER_SAVE,
    caught_by="saved_directory_loads",
    finding="DirectoryDoesNotLoad",
    size="one byte",
    applies=saves_safetensors,
)
def one_byte_cut_off(directory: Path, moment: Moment) -> None:
    """The last byte of one weight file is missing."""
    shard = _shards(directory)[-1]
    shard.write_bytes(shard.read_bytes()[:-1])


@fault(
    Seam.AFTER_SAVE,
    caught_by="reloaded_parameters_equal",
    finding="ParametersDiffer",
    size="one element",
    applies=saves_parameters,
)
def one_saved_element_differs(directory: Path, moment: Moment) -> None:
    """One element of one saved tensor is another number."""
    rewrite(_shards(directory)[0], _change_one_element)


@fault(
    Seam.AFTER_SAVE,
    caught_by="reloaded_outputs_equal_image",
    finding="OutputsDiffer",
    size="one element",
    applies=_saves_whole_with_images,
)
def one_saved_vision_element_differs(directory: Path, moment: Moment) -> None:
    """One element of the saved patch embedding is another number."""
    _change_tensor(directory, "patch_embed")


@fault(
    Seam.AFTER_SAVE,
    caught_by="reloaded_outputs_equal_text",
    finding="OutputsDiffer",
    size="one element",
    applies=saves_whole,
)
def one_saved_language_element_differs(directory: Path, moment: Moment) -> None:
    """One element of the saved output layer is another number: of the embeddings, where they are one."""
    for part in ("lm_head", "embed_tokens", "tok_embeddings"):
        if _change_tensor(directory, part):
            return


@fault(
    Seam.AFTER_SAVE,
    caught_by="processor_reloads",
    finding="ProcessorLost",
    size="one file",
    applies=saves_processor,
)
def processor_configuration_missing(directory: Path, moment: Moment) -> None:
    """The directory has the tokenizer's files and not the processor's."""
    for name in ("processor_config.json", "preprocessor_config.json"):
        (directory / name).unlink(missing_ok=True)


@fault(
    Seam.AFTER_SAVE,
    caught_by="processor_reloads",
    finding="ProcessorDiffers",
    size="one setting",
    applies=saves_processor,
)
def one_normalisation_value_differs(directory: Path, moment: Moment) -> None:
    """One value of the image normalisation is another number in the saved processor."""
    import json

    for name in ("processor_config.json", "preprocessor_config.json"):
        if (path := directory / name).exists():
            settings = json.loads(path.read_text(encoding="utf-8"))
            images = settings.get("image_processor", settings)
            for means in [images[key] for key in ("image_mean", "norm_mean") if key in images]:
                means[0] += 0.01
            path.write_text(json.dumps(settings), encoding="utf-8")


def _shards(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.safetensors"))


def _change_tensor(directory: Path, part: str) -> bool:
    """Change one element of the tensor whose name holds the part, if there is one."""
    from safetensors.torch import load_file

    for shard in _shards(directory):
        if any(part in key for key in load_file(shard)):
            rewrite(shard, lambda tensors: _change_one_element({k: v for k, v in tensors.items() if part in k}))
            return True
    return False


def _change_one_element(tensors: dict[str, Any]) -> None:
    tensor = tensors[sorted(tensors)[0]]
    tensor.reshape(-1)[0] += 1.0


def rewrite(shard: Path, change: Any) -> None:
    """Write a weight file anew with its tensors changed."""
    from safetensors.torch import load_file, save_file

    tensors = {key: tensor.clone() for key, tensor in load_file(shard).items()}
    change(tensors)
    save_file(tensors, shard, metadata={"format": "pt"})
