"""How OmniLMM-12B is tuned: by its model's two flags, `tune_clip` and `tune_mm_mlp_adapter`. It ships no script."""

from __future__ import annotations

from typing import Any

from harness.recipe import Recipe

ADAPTER_ALONE = ("connector", "embeddings")

MODES: dict[str, dict[str, Any]] = {
    "full": {"tune": ["all"]},
    "llm+connector": {"tune": ["connector", "llm"]},
    "vision+connector": {"tune": ["vision", "connector"]},
    "connector": {"tune": ["connector"]},
    "tune_mm_mlp_adapter": {"tune": list(ADAPTER_ALONE)},
    "lora-qv": {"lora": {"rank": 8, "targets": r"model\.layers\.\d+\.self_attn\.(q_proj|v_proj)"}},
}
WITHOUT_TOWER = {name: settings for name, settings in MODES.items() if name not in ("full", "vision+connector")}


def tunes_adapter_alone(recipe: Recipe) -> bool:
    """Whether the recipe is `tune_mm_mlp_adapter`: resampler and input embeddings, nothing of the language model."""
    return not recipe.peft and {tune.component for tune in recipe.tune} == set(ADAPTER_ALONE)
