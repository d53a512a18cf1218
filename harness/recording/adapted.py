"""Adapters as they are found in a model: where they lie, what they are, which parameters are theirs."""

from __future__ import annotations

from typing import Any

from torch import nn

from harness.recording.layers import class_of, kind_of


def is_adapted(module: nn.Module) -> bool:
    """Whether the module is a layer of the model with an adapter around it (seen by its shape, not by asking peft)."""
    return (".tuners." in class_of(module).__module__ and hasattr(module, "base_layer")) or _factors(module) is not None


def adapter_facts(module: nn.Module) -> dict[str, Any] | None:
    """Rank, alpha, scaling, dropout of each adapter on a layer, read from the layer; None where there is none."""
    if not is_adapted(module):
        return None
    if (factors := _factors(module)) is not None:
        return {"r": {"default": int(factors.A.weight.shape[0])}}
    facts: dict[str, Any] = {}
    for attribute in ("r", "lora_alpha", "scaling", "use_dora", "oft_block_size", "boft_block_size"):
        value = getattr(module, attribute, None)
        if isinstance(value, dict):
            facts[attribute] = {str(name): item for name, item in sorted(value.items())}
    dropouts = getattr(module, "lora_dropout", None)
    if isinstance(dropouts, nn.ModuleDict):
        facts["dropout"] = {name: float(getattr(layer, "p", 0.0)) for name, layer in sorted(dropouts.items())}
    return facts


def adapted_paths(modules: list[tuple[str, nn.Module]]) -> set[str]:
    """The paths of modules that an adapter library put around a layer of the model, or beside the model."""
    prompts = {path for path, module in modules if kind_of(module).startswith("peft.peft_model.")}
    return {path for path, module in modules if is_adapted(module)} | {
        f"{path}.prompt_encoder".lstrip(".") for path in prompts
    }


def role_of(path: str, adapted: set[str]) -> str:
    if ".modules_to_save." in path:
        return "copy"
    if ".original_module." in path:
        return "original"
    owners = [prefix for prefix in _prefixes(path) if prefix in adapted]
    inside = path[len(owners[-1]) + 1 :] if owners else ""
    if owners and not inside.startswith("base_layer.") and inside not in ("weight", "bias"):
        return "adapter"
    return "base"


def _factors(module: nn.Module) -> Any:
    """The factors that a trainer's own LoRA has put into a linear layer whose forward it has replaced."""
    own = module._modules.get("lora") if isinstance(module, nn.Linear) else None
    return own if own is not None and {"A", "B"} <= set(own._modules) else None


def _prefixes(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]
