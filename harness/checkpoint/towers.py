"""Vision towers that are made anew from directories of their own after the checkpoint is loaded, as LLaVA's trainers
and those after it do. Whatever the checkpoint holds under their names is then not used. Needs torch."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.checkpoint.overlay import part_tensors
from harness.refusal import Refused

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class Tower:
    """Where a family's tower is, and how its own directory spells it.

    `setting` is the configuration's entry that names the directory, `kept` the one that says that the checkpoint's own
    weights are used all the same; `module` a regular expression on the tower's path; `renames` lead from names inside
    it to keys of `file`.
    """

    component: str
    setting: str
    kept: str
    module: str
    file: str
    renames: tuple[tuple[str, str], ...]

    def key(self, name: str) -> str:
        """The key in the tower's file of a name inside the tower."""
        for pattern, new in self.renames:
            name, count = re.subn(pattern, new, name, count=1)
            if count:
                break
        return name


def write_tower(model: nn.Module, tower: Tower, directory: Path) -> None:
    """The directory of a tower as it is published by itself: its weights and the sizes that they have."""
    import torch

    _, module = _inside(model, tower)
    tensors = {tower.key(name): tensor.detach().clone() for name, tensor in module.state_dict().items()}
    directory.mkdir(parents=True, exist_ok=True)
    if tower.file.endswith(".safetensors"):
        from safetensors.torch import save_file

        save_file(tensors, directory / tower.file, metadata={"format": "pt"})
    else:
        torch.save(tensors, directory / tower.file)
    vision = getattr(model.config, "vision_config", {})
    settings = vision if isinstance(vision, dict) else vision.to_dict()
    (directory / "config.json").write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def use_own_towers(
    model: Any, towers: Sequence[Tower], settings: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Make each tower anew that the configuration names a directory for, and say which weights were not used for it.

    Raises Refused where there is no such directory, and where its tower has other shapes.
    """
    settings = model.config.to_dict() if settings is None else settings
    named = [tower for tower in towers if settings.get(tower.setting)]
    return [_made_anew(model, tower, settings) for tower in named]


def _made_anew(model: nn.Module, tower: Tower, settings: Mapping[str, Any]) -> dict[str, Any]:
    directory = Path(settings[tower.setting])
    refuse_no_tower(directory, tower)
    path, module = _inside(model, tower)
    said: dict[str, Any] = {"setting": tower.setting, "directory": directory.name, "unused": []}
    if settings.get(tower.kept):
        return said
    published = part_tensors(directory / tower.file)
    own = module.state_dict()
    _refuse_other_shapes(own, published, tower, directory)
    module.load_state_dict({name: published[tower.key(name)] for name in own})
    return {**said, "unused": [f"{path}.{name}" for name in own]}


def refuse_no_tower(directory: Path, tower: Tower) -> None:
    """Raise Refused, with the whole path that was looked at, where there is no such tower."""
    if not (directory / tower.file).is_file():
        what = (
            f"{tower.setting}: no {tower.file} there" if directory.is_dir() else f"{tower.setting}: no such directory"
        )
        do = "name the tower's directory by its whole path: one relative to another directory is not found"
        raise Refused(what, where=str(directory.absolute()), do=do)


def _inside(model: nn.Module, tower: Tower) -> tuple[str, nn.Module]:
    return next((path, module) for path, module in model.named_modules() if re.match(tower.module, path))


def _refuse_other_shapes(
    own: Mapping[str, torch.Tensor], published: Mapping[str, torch.Tensor], tower: Tower, directory: Path
) -> None:
    where = str(directory.absolute())
    for name, tensor in own.items():
        key = tower.key(name)
        if key not in published:
            raise Refused(
                f"{tower.setting}: it has no {key}", where=where, do="name the tower that the model was made with"
            )
        if published[key].shape != tensor.shape:
            there, here = (" x ".join(map(str, one.shape)) for one in (published[key], tensor))
            what = f"{tower.setting}: {key} is {there}, and {here} in the checkpoint"
            do = "name the tower of the checkpoint's picture size: its name alone does not say which one lies there"
            raise Refused(what, where=where, do=do)
