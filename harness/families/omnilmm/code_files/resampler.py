"""The resampler of OmniLMM: a square of learned queries attends to the patches of each picture."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

HEAD_DIM = 128
TEMPERATURE = 10_000.0
EPSILON = 1e-6


def position_table(side: int, channels: int) -> torch.Tensor:
    """A (side * side, channels) table of sines and cosines: half of the channels for the column, half for the row."""
    rows, columns = np.indices((side, side))
    return torch.from_numpy(np.concatenate([_sines(columns, channels), _sines(rows, channels)], axis=-1)).float()


def _sines(places: np.ndarray[Any, Any], channels: int) -> np.ndarray[Any, Any]:
    frequencies = TEMPERATURE ** -(np.arange(channels // 4, dtype=np.float64) / (channels / 4))
    angles = places.reshape(-1, 1) * frequencies
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)


class Resampler(nn.Module):
    """Cross-attention. `pos_embed` is a parameter that is never trained; for more patches it is stretched."""

    def __init__(self, num_query: int, embed_dim: int, kv_dim: int) -> None:
        super().__init__()
        self.grid_size = int(math.sqrt(num_query))
        self.num_queries, self.embed_dim = self.grid_size**2, embed_dim
        self.pos_embed = nn.Parameter(torch.empty(self.num_queries, embed_dim), requires_grad=False)
        self.query = nn.Parameter(torch.empty(self.num_queries, embed_dim))
        self.kv_proj = nn.Linear(kv_dim, embed_dim, bias=False)
        self.attn = nn.MultiheadAttention(embed_dim, embed_dim // HEAD_DIM)
        self.ln_q = nn.LayerNorm(embed_dim, eps=EPSILON)
        self.ln_kv = nn.LayerNorm(embed_dim, eps=EPSILON)
        self.ln_post = nn.LayerNorm(embed_dim, eps=EPSILON)
        self.proj = nn.Parameter(torch.empty(embed_dim, embed_dim))
        self.fill()

    @torch.no_grad()
    def fill(self) -> None:
        """The values that it begins with, apart from those of its layers; what was loaded stays."""
        if not getattr(self.pos_embed, "_is_hf_initialized", False):
            self.pos_embed.copy_(position_table(self.grid_size, self.embed_dim).to(self.pos_embed))
        nn.init.trunc_normal_(self.query, std=0.02)
        nn.init.normal_(self.proj, std=self.embed_dim**-0.5)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """(pictures, patches, kv_dim), as many patches as a square has: (pictures, queries, embed_dim)."""
        # Contiguous all: how torch multiplies what is not, and to which last bit, depends on what requires a gradient.
        values = self.ln_kv(self.kv_proj(patches)).transpose(0, 1).contiguous()
        keys = values + self.positions(len(values))[:, None].to(values.dtype)
        queries = (self.ln_q(self.query) + self.pos_embed)[:, None].repeat(1, len(patches), 1)
        found, _ = self.attn(queries, keys, values, need_weights=False)
        projected: torch.Tensor = self.ln_post(found.transpose(0, 1)) @ self.proj
        return projected

    def positions(self, patches: int) -> torch.Tensor:
        """The positions of so many patches."""
        side = int(math.sqrt(patches))
        if side == self.grid_size:
            return self.pos_embed
        grid = self.pos_embed.float().reshape(1, self.grid_size, self.grid_size, -1).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, size=(side, side), mode="bicubic", align_corners=False)
        return grid.permute(0, 2, 3, 1).flatten(0, 2)
