"""Whole tiny directories, and copies of them to damage."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.checkpoint.shards import INDEXES
from harness.trace.writer import write_safetensors

FAMILIES = {"llava": "llava-1.5-7b", "minicpm": "minicpm-llama3-v-2.5", "minimind": "minimind-v3"}


class Whole:
    """Bases by name, each with a directory that was saved from it: the same files, and an adapter for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def base(self, name: str) -> Path:
        from harness.cli.main import status_of

        path = self.folder / name
        if not path.exists():
            assert status_of(["tiny", FAMILIES[name], str(path)]) == 0
        return path

    def saved(self, name: str, place: Path) -> Path:
        base, _, kind = name.partition(" ")
        if not kind:
            return Path(shutil.copytree(self.base(base), place))
        return adapter_for(self.base(base), place)


def adapter_for(base: Path, place: Path) -> Path:
    """A LoRA adapter as peft saves it, under the names of the base's checkpoint, with all that prepares its inputs."""
    place.mkdir(parents=True)
    tensors: dict[str, torch.Tensor] = {}
    generator = torch.Generator().manual_seed(0)
    for key, tensor in all_tensors(base).items():
        if key.endswith(("self_attn.q_proj.weight", "self_attn.v_proj.weight")) and "vision" not in key:
            module = f"base_model.model.{key.removesuffix('.weight')}"
            rank = 4 if "q_proj" in key else 2
            tensors[f"{module}.lora_A.weight"] = torch.randn(rank, tensor.shape[1], generator=generator)
            tensors[f"{module}.lora_B.weight"] = torch.randn(tensor.shape[0], rank, generator=generator)
        if "connector" in key or "multi_modal_projector" in key or key.startswith("resampler.kv_proj"):
            tensors[f"base_model.model.{key}"] = tensor
    write_safetensors(place / "adapter_model.safetensors", tensors, {"format": "pt"})
    config = {
        "peft_type": "LORA",
        "r": 4,
        "rank_pattern": {"self_attn.v_proj": 2},
        "alpha_pattern": {"self_attn.v_proj": 4},
        "target_modules": ["q_proj", "v_proj"],
        "modules_to_save": ["multi_modal_projector" if "llava" in base.name else "kv_proj"],
        "base_model_name_or_path": str(base),
    }
    (place / "adapter_config.json").write_text(json.dumps(config))
    for path in base.iterdir():
        if path.suffix not in (".safetensors",) and path.name not in ("config.json", *INDEXES):
            shutil.copy(path, place / path.name)
    return place


def all_tensors(directory: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return {key: tensor for path in sorted(directory.glob("*.safetensors")) for key, tensor in load_file(path).items()}


def in_shard(directory: Path, key: str, change: Callable[[dict[str, torch.Tensor]], object]) -> Path:
    """Change the tensors of the one shard that holds a key, and leave everything else as it is."""
    from safetensors.torch import load_file

    for path in sorted(directory.glob("*.safetensors")):
        tensors = load_file(path)
        if any(name.endswith(key) for name in tensors):
            change(tensors)
            write_safetensors(path, tensors, {"format": "pt"})
            return path
    raise AssertionError(key)


def key_of(directory: Path, end: str) -> str:
    """The first key that ends so."""
    return min(key for key in all_tensors(directory) if key.endswith(end))


def in_json(directory: Path, name: str, change: Callable[[Any], object]) -> None:
    value = json.loads((directory / name).read_text())
    change(value)
    (directory / name).write_text(json.dumps(value))


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return Whole(tmp_path_factory.mktemp("whole"))
