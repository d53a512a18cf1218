"""Published configurations with random weights, tuned as their systems tune them, and batches of their sizes."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import torch

from harness.recipe import Recipe

LLM_ATTENTION = r"llm\..*layers\.\d+\.self_attn\.(q_proj|k_proj|v_proj)"
LORA: dict[str, dict[str, Any]] = {
    "minicpm-llama3-v-2.5": {  # as its script has it: features are written into embeddings, which have to train
        "tune": ["connector", "embeddings"],
        "lora": {"rank": 64, "alpha": 64, "targets": LLM_ATTENTION},
    },
    "mini-gemini-7b": {
        "tune": ["connector"],
        "lora": {"rank": 64, "alpha": 16, "targets": r"model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj"},
    },
}
STEPS = 10
FULL: dict[str, Any] = {"tune": ["connector", "llm"]}


def recipe_of(family: str, mode: str) -> Recipe:
    """What is tuned, as a recipe: weights in bf16, layers computed again in the backward pass."""
    settings = {
        **(LORA[family] if mode == "lora" else FULL),
        "steps": STEPS,
        "checkpointing": True,
        "data": {"mix": ["image"]},
    }
    return Recipe(family=family, trust_remote_code=True, precision="pure-bf16", **settings)


def built(family: str, recipe: Recipe, size: str, device: torch.device) -> Any:
    """The model of that size, its weights drawn on the device by its own initialisation, tuned as the recipe says;
    only that layers keep what they compute."""
    from harness.families import family as known
    from harness.seams import Seams
    from harness.tuning import tune

    chosen = known(family)
    meta: Any = chosen.meta_model(size)
    torch.manual_seed(0)
    with _in_bf16(), device:
        model = type(meta)(copy.deepcopy(meta.config))
        tuned = tune(model, recipe.model_copy(update={"checkpointing": False}), chosen, Seams())
    return tuned.to(device=device, dtype=torch.bfloat16)


@contextlib.contextmanager
def _in_bf16() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def batch_of(family: str, size: str, rows: int, length: int, device: torch.device) -> dict[str, Any]:
    """A batch of so many samples with one picture each."""
    from harness.families import family as known

    dimensions: Any = known(family).dimensions(size)  # type: ignore[attr-defined]
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 300, (rows, length), generator=generator)
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids.clone()}
    make = _minicpm if family.startswith("minicpm") else _mini_gemini
    make(batch, dimensions, generator)
    return {name: _on(value, device) for name, value in batch.items()}


def _minicpm(batch: dict[str, Any], d: Any, generator: torch.Generator) -> None:
    rows, length = batch["input_ids"].shape
    side = d.resolution // d.patch
    picture = torch.randn(3, d.patch, d.patch * side * side, generator=generator).bfloat16()
    batch["labels"][:, : d.queries + 2] = -100
    batch["position_ids"] = torch.arange(length).expand(rows, length).clone()
    batch["image_bound"] = [torch.tensor([[1, 1 + d.queries]])] * rows
    batch["pixel_values"] = [[picture] for _ in range(rows)]
    batch["tgt_sizes"] = [torch.tensor([[side, side]], dtype=torch.int32)] * rows


def _mini_gemini(batch: dict[str, Any], d: Any, generator: torch.Generator) -> None:
    rows = len(batch["input_ids"])
    tokens = (d.clip.image // d.clip.patch) ** 2
    batch["input_ids"][:, 1 : 1 + tokens] = -200
    batch["labels"][:, : 1 + tokens] = -100
    for name, side in (("pixel_values", d.clip.image), ("pixel_values_aux", d.image_aux)):
        batch[name] = torch.randn(rows, 3, side, side, generator=generator).bfloat16()


def _on(value: Any, device: torch.device) -> Any:
    if isinstance(value, list):
        return [_on(one, device) for one in value]
    return value.to(device)
