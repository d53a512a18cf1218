"""How MiniCPM-V is tuned: the options of its published scripts, and what people change about them."""

from __future__ import annotations

from typing import Any

BESIDE_LORA = ("connector", "embeddings")  # what the published script saves with the adapter, whatever else is asked


def projections(letters: str) -> str:
    """The published target expression for attention projections: it must match the whole path, `llm.` included."""
    names = "|".join(f"{letter}_proj" for letter in letters)
    return rf"llm\..*layers\.\d+\.self_attn\.({names})"


def _lora(letters: str, tune: tuple[str, ...] = BESIDE_LORA) -> dict[str, Any]:
    return {"tune": list(tune), "lora": {"rank": 64, "alpha": 64, "dropout": 0.05, "targets": projections(letters)}}


MODES: dict[str, dict[str, Any]] = {
    "full": {"tune": ["all"]},
    "llm+connector": {"tune": ["connector", "llm"]},
    "vision+connector": {"tune": ["vision", "connector"]},
    "connector": {"tune": ["connector"]},
    "lora-qkv": _lora("qkv"),
    "lora-qkvo": _lora("qkvo"),
    "lora-qk": _lora("qk"),
    "lora-qkv+vision": _lora("qkv", ("vision", *BESIDE_LORA)),
    "lora-qkv+kept-modules": {
        **_lora("qkv", ()),
        "lora": {**_lora("qkv")["lora"], "modules_to_save": ["embed_tokens", "resampler"]},
    },
    "last-layers": {"tune": {"connector": "all", "language": {"last": 2}, "lm_head": "all"}},
}
# 2.0 is the script's default model; its head is small enough to be told apart from its embeddings by name alone.
OF_2_0 = {name: MODES[name] for name in MODES if name != "lora-qk"}
