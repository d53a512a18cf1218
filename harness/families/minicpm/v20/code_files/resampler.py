"""The resampler of MiniCPM-V 2.0: queries on a square grid, whose positions are a parameter that never trains."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

HEAD_DIM = 128
TEMPERATURE = 10000.0
EPSILON = 1e-6


def sines(positions: np.ndarray[Any, Any], width: int) -> np.ndarray[Any, Any]:
    """Each position as `width` numbers: sines, then cosines, of falling frequencies."""
    frequencies = TEMPERATURE ** -(np.arange(width // 2, dtype=np.float64) / (width / 2))
    angles = positions.astype(np.float64)[..., None] * frequencies
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)


def position_table(height: int, width: int, channels: int) -> torch.Tensor:
    """A (height * width, channels) table, row after row: half of the channels for the column, half for the row."""
    rows, columns = np.indices((height, width))
    table = np.concatenate([sines(columns, channels // 2), sines(rows, channels // 2)], axis=-1)
    return torch.from_numpy(table.reshape(height * width, channels)).float()


class Resampler(nn.Module):
    """Cross-attention from learned queries on a grid to the patches of one picture."""

    def __init__(self, grid_size: int, embed_dim: int, kv_dim: int) -> None:
        super().__init__()
        self.grid_size = grid_size
        self.embed_dim = embed_dim
        self.pos_embed = nn.Parameter(torch.zeros(grid_size**2, embed_dim), requires_grad=False)
        self.query = nn.Parameter(torch.zeros(grid_size**2, embed_dim))
        self.kv_proj = nn.Linear(kv_dim, embed_dim, bias=False)
        self.attn = nn.MultiheadAttention(embed_dim, embed_dim // HEAD_DIM)
        self.ln_q = nn.LayerNorm(embed_dim, eps=EPSILON)
        self.ln_kv = nn.LayerNorm(embed_dim, eps=EPSILON)
        self.ln_post = nn.LayerNorm(embed_dim, eps=EPSILON)
        self.proj = nn.Parameter(torch.zeros(embed_dim, embed_dim))

    def forward(self, patches: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """(1, patches, kv_dim) of a picture with so many rows and columns of patches: (1, queries, embed_dim)."""
        places = position_table(*size, self.embed_dim).to(patches.device, patches.dtype)
        # Contiguous all: how torch multiplies what is not, and to which last bit, depends on what requires a gradient.
        values = self.ln_kv(self.kv_proj(patches)).transpose(0, 1).contiguous()
        queries = (self.ln_q(self.query) + self.pos_embed)[:, None]
        found, _ = self.attn(queries, values + places[:, None], values, need_weights=False)
        projected: torch.Tensor = self.ln_post(found.transpose(0, 1)) @ self.proj
        return projected
