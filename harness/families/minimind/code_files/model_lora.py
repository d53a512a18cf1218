"""MiniMind's own LoRA: beside every square linear layer, without scaling and without dropout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn


class LoRA(nn.Module):
    """Two factors, of which the second begins at zero."""

    def __init__(self, in_features: int, out_features: int, rank: int) -> None:
        super().__init__()
        self.rank = rank
        self.A = nn.Linear(in_features, rank, bias=False)
        self.B = nn.Linear(rank, out_features, bias=False)
        nn.init.normal_(self.A.weight, std=0.02)
        nn.init.zeros_(self.B.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.B(self.A(x))
        return out


def apply_lora(model: nn.Module, rank: int = 16) -> nn.Module:
    """Put factors beside every linear layer whose inputs are as many as its outputs; its forward is replaced.

    It looks at modules while it adds some: where the rank is the hidden size, a first factor is square too, and is
    given factors of its own, whose first is square.
    """
    for _path, module in model.named_modules():
        if isinstance(module, nn.Linear) and module.weight.shape[0] == module.weight.shape[1]:
            put_beside(module, LoRA(module.in_features, module.out_features, rank))
    return model


def put_beside(layer: Any, lora: LoRA) -> None:
    """Factors beside one layer, which then computes with them."""
    layer.lora = lora.to(device=layer.weight.device, dtype=layer.weight.dtype)
    alone = layer.forward
    layer.forward = lambda x: alone(x) + layer.lora(x)


def lora_tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """What is saved: the factors alone, in fp16, without the prefix of a wrapper."""
    named = ((path.removeprefix("module."), tensor) for path, tensor in model.state_dict().items())
    return {path: tensor.half().cpu() for path, tensor in named if ".lora." in path}


def load_lora(model: nn.Module, path: Path) -> nn.Module:
    """The model with the factors of a file beside its square layers. torch raises for factors of another rank."""
    tensors = torch.load(path, map_location="cpu", weights_only=True)
    rank = next(tensor.shape[0] for name, tensor in tensors.items() if name.endswith(".lora.A.weight"))
    result = apply_lora(model, rank).load_state_dict(tensors, strict=False)
    if result.unexpected_keys:
        raise ValueError(
            f"factors for layers that are not square or not there: {', '.join(result.unexpected_keys[:3])}"
        )
    return model
