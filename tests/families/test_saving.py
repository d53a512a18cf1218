"""What save_pretrained is told: shards enough to be shards, and sizes that every library version understands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.recipe import Recipe
from harness.saving import save_options


def recipe(**fields: Any) -> Recipe:
    return Recipe.model_validate({"family": "llava-1.5-7b", "tune": ["connector"], **fields})


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_tiny_model_is_saved_in_at_least_as_many_shards_as_its_intent_asks(
    llava: Any, base: Path, tmp_path: Path, dtype: str
) -> None:
    import torch

    model = llava.load(base, getattr(torch, dtype)).model

    model.save_pretrained(tmp_path, **save_options(model, recipe()))

    assert len(list(tmp_path.glob("*.safetensors"))) >= llava.intent(recipe()).save.at_least_shards > 1


@pytest.mark.parametrize(
    ("written", "size"),
    [("1GB", 10**9), ("1.5KB", 1500), ("200MiB", 200 * 2**20), ("0.5GiB", 2**29), ("3KiB", 3072), ("0KB", 1)],
)
def test_a_shard_size_is_given_in_bytes(loaded: Any, written: str, size: int) -> None:
    assert save_options(loaded.model, recipe(save={"max_shard_size": written})) == {"max_shard_size": size}


def test_an_adapter_is_saved_with_the_library_s_own_options(loaded: Any) -> None:
    assert save_options(loaded.model, recipe(tune=[], lora={"targets": ["q_proj"]})) == {}
