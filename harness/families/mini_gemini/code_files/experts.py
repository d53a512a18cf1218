"""Mixtral's experts under the names that its checkpoints have for them, each a module of its own.

Releases of transformers differ in how they hold them in memory; checkpoints, and adapters on `w1`, `w2`, `w3` and
`gate`, know them one by one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import silu
from transformers.models.mixtral.modeling_mixtral import MixtralDecoderLayer


class Expert(nn.Module):
    """A gated feed-forward layer."""

    def __init__(self, hidden: int, inner: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(hidden, inner, bias=False)
        self.w2 = nn.Linear(inner, hidden, bias=False)
        self.w3 = nn.Linear(hidden, inner, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.w2(silu(self.w1(tokens)) * self.w3(tokens))
        return out


class SparseExperts(nn.Module):
    """Each token goes to the few experts that `gate` gives the highest weight."""

    def __init__(self, config: Any, tells_logits: bool = False) -> None:
        super().__init__()
        self.tells_logits = tells_logits
        self.top_k = config.num_experts_per_tok
        self.gate = nn.Linear(config.hidden_size, config.num_local_experts, bias=False)
        self.experts = nn.ModuleList(
            Expert(config.hidden_size, config.intermediate_size) for _ in range(config.num_local_experts)
        )

    def forward(self, hidden_states: torch.Tensor) -> Any:
        """What the experts make of the tokens, and where it is wanted the logits of the gate."""
        tokens = hidden_states.flatten(0, -2)
        logits = self.gate(tokens)
        weights, chosen = torch.topk(logits.float().softmax(-1), self.top_k, dim=-1)
        weights = (weights / weights.sum(-1, keepdim=True)).to(tokens.dtype)
        mixed = torch.zeros_like(tokens)
        for number, expert in enumerate(self.experts):
            rows, places = torch.where(chosen == number)
            added = expert(tokens[rows]) * weights[rows, places, None]
            mixed = mixed.index_add(0, rows, added.to(mixed.dtype))
        mixed = mixed.view_as(hidden_states)
        return (mixed, logits) if self.tells_logits else mixed


class ExpertsLayer(MixtralDecoderLayer):
    """A layer of Mixtral with these experts in place of the library's.

    Releases before transformers 5 know them as `block_sparse_moe`, and are told the gate's logits; later ones as `mlp`.
    """

    def __init__(self, config: Any, layer_idx: int) -> None:
        super().__init__(config, layer_idx)
        self._modules.pop("mlp", None)
        self.block_sparse_moe = SparseExperts(config, tells_logits="block_sparse_moe" in self._modules)

    @property
    def mlp(self) -> nn.Module:
        return self.block_sparse_moe
