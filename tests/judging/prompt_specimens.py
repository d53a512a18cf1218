"""Specimens of prompts before the text, and of what an adapter shares among its layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Evidence = Any
Alteration = Callable[[Evidence], object]
BASE = "base_model.model."
FACTORS = [f"language.layers.{layer}.q_proj.lora_{part}.default.weight" for layer in (0, 1) for part in "AB"]


def prompts(method: str, *more: Alteration) -> Alteration:
    """In place of LoRA a table of prompts, with an encoder behind it; both are on the file as peft writes them."""

    def alter(e: Evidence) -> None:
        e.intent["adapter"] = {"method": method, "targets": (), "rank": None}
        e.one("model")["adapters"] = {}
        paths = e.one("parameters")["path"]
        new = ["embedding.weight", "mlp_head.0.weight", "mlp_head.0.bias", "mlp_head.2.weight"]
        for path, part in zip(FACTORS, new, strict=True):
            paths[e.index(path)] = f"prompt_encoder.default.{part}"
        kept = "connector.modules_to_save.default.weight"
        e.saved["tensors"] = {
            "prompt_embeddings": {"file": "a", "dtype": "F32", "fingerprint": last(e, FACTORS[0])},
            f"{BASE}connector.weight": {"file": "b", "dtype": "F32", "fingerprint": last(e, kept)},
        }
        for alteration in more:
            alteration(e)

    return alter


def last(e: Evidence, path: str) -> str:
    found: str = e.one("final")["fingerprint"][e.index(path)]
    return found


def has_no_encoder(e: Evidence) -> None:
    """Let the parameters that were the encoder's be the model's own."""
    e.one("parameters")["role"] = ["base" if role == "adapter" else role for role in e.one("parameters")["role"]]


def table_alone(e: Evidence) -> None:
    """Let what was the encoder be frozen parts of the model."""
    for path in FACTORS[1:]:
        e.put("parameters", "role", path, "base")


def differs(e: Evidence) -> None:
    e.saved["tensors"]["prompt_embeddings"]["fingerprint"] = "computed"


SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "run.mechanism_active": [("MechanismIdle", "no encoder of prompts", prompts("prompt_tuning", has_no_encoder))],
    "adapter_file_holds_adapter_only": [
        ("AdapterTensorMissing", "prompts", prompts("p_tuning", lambda e: e.saved["tensors"].pop("prompt_embeddings"))),
        ("AdapterTensorDiffers", "a prompt", prompts("prompt_tuning", table_alone, differs)),
        ("AdapterTensorDiffers", "computed prompts in another dtype", prompts(
            "p_tuning", lambda e: e.saved["tensors"]["prompt_embeddings"].update(dtype="F16"))),
    ],
    "reloaded_parameters_equal": [
        ("ParametersDiffer", "a prompt", prompts("prompt_tuning", table_alone)),
    ],
}  # fmt: skip

SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "run.mechanism_active": [("prompts, on no layer", prompts("prompt_tuning"))],
    "adapter_file_holds_adapter_only": [
        ("prompts", prompts("prompt_tuning", table_alone)),
        ("prompts that an encoder computes", prompts("p_tuning", differs)),
    ],
    "ties_kept": [("shared by an adapter's own layers", lambda e: (
        e.one("parameters").update(ties={f"{BASE}{FACTORS[0]}": [f"{BASE}{FACTORS[2]}"]}),
        e.reloaded.update(ties={f"{BASE}{FACTORS[0]}": [f"{BASE}{FACTORS[2]}"]})))],
    "reloaded_parameters_equal": [("an encoder, which is not saved", prompts("p_tuning"))],
}  # fmt: skip
