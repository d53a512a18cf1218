"""Faults in what native training loops leave behind: state dicts, and files to go on from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.checkpoint.files import RESUME, native_path
from harness.faults.registry import fault
from harness.recipe import Recipe
from harness.seams import Moment, Seam


def _saves_natively(recipe: Recipe) -> bool:
    return recipe.saves == "native"


def _resumes(recipe: Recipe) -> bool:
    return recipe.save.resume


def _resumes_in_32_bits(recipe: Recipe) -> bool:
    """Whether halving the weights loses anything of them."""
    return _resumes(recipe) and not recipe.precision.startswith("pure-")


@fault(
    Seam.AFTER_SAVE,
    caught_by="resume_file_in_full",
    finding="ResumeRounded",
    size="the precision of the weights",
    applies=_resumes_in_32_bits,
)
def resume_file_halved(directory: Path, moment: Moment) -> None:
    """The file to go on from holds the weights in fp16, as their own file does, beside moments in fp32."""

    def halve(content: dict[str, Any]) -> None:
        content["model"] = {key: tensor.half() for key, tensor in content["model"].items()}

    _rewrite(next(directory.glob(f"*{RESUME}")), halve)


@fault(
    Seam.AFTER_SAVE,
    caught_by="resume_file_in_full",
    finding="ResumeFileMissing",
    size="one value",
    applies=_resumes,
)
def resume_file_holds_an_object(directory: Path, moment: Moment) -> None:
    """The file to go on from holds one object of a class: it cannot be read without running code."""
    _rewrite(next(directory.glob(f"*{RESUME}")), lambda content: content.update(settings=Path("out")))


@fault(
    Seam.AFTER_SAVE,
    caught_by="saved_directory_complete",
    finding="FileMissing",
    size="one file",
    applies=_saves_natively,
)
def run_shorter_than_its_save_interval(directory: Path, moment: Moment) -> None:
    """The run ends before the first step that is a multiple of the interval, and leaves no weights."""
    for path in directory.glob("*.pth"):
        path.unlink()


@fault(
    Seam.AFTER_SAVE,
    caught_by="saved_directory_loads",
    finding="KeysLost",
    size="the prefix of every key",
    applies=_saves_natively,
)
def keys_renamed_and_loaded_all_the_same(directory: Path, moment: Moment) -> None:
    """Every key of the state dict has another prefix: load_state_dict(strict=False) loads nothing and says nothing."""

    def rename(content: dict[str, Any]) -> None:
        for key in list(content):
            content[f"vlm.{key}"] = content.pop(key)

    _rewrite(native_path(directory), rename)


def _rewrite(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    import torch

    content = torch.load(file, weights_only=True)
    change(content)
    torch.save(content, file)
