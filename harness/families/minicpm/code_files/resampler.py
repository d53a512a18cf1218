"""The resampler of MiniCPM-Llama3-V 2.5: a fixed number of learned queries attends to any number of patches."""

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
    """A (height, width, channels) table: half of the channels for the column, half for the row.

    It comes out of numpy, and is therefore a real tensor even where torch is told to make tensors on the meta device.
    """
    rows, columns = np.indices((height, width))
    table = np.concatenate([sines(columns, channels // 2), sines(rows, channels // 2)], axis=-1)
    return torch.from_numpy(table).float()


class Resampler(nn.Module):
    """Cross-attention from `num_queries` learned queries to the patches of each picture."""

    pos_embed: torch.Tensor

    def __init__(self, num_queries: int, embed_dim: int, kv_dim: int, table_side: int) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        self.table_side = table_side
        self.query = nn.Parameter(torch.zeros(num_queries, embed_dim))
        self.kv_proj = nn.Linear(kv_dim, embed_dim, bias=False)
        self.attn = nn.MultiheadAttention(embed_dim, embed_dim // HEAD_DIM)
        self.ln_q = nn.LayerNorm(embed_dim, eps=EPSILON)
        self.ln_kv = nn.LayerNorm(embed_dim, eps=EPSILON)
        self.ln_post = nn.LayerNorm(embed_dim, eps=EPSILON)
        self.proj = nn.Parameter(torch.empty(embed_dim, embed_dim))
        nn.init.normal_(self.proj, std=embed_dim**-0.5)
        self.make_table(table_side, table_side)

    def make_table(self, height: int, width: int, device: torch.device | None = None) -> None:
        """Hold positions for pictures of up to so many patches. Not part of the state dict."""
        table = position_table(height, width, self.embed_dim)
        self.register_buffer("pos_embed", table if device is None else table.to(device), persistent=False)

    def forward(self, patches: torch.Tensor, target_sizes: torch.Tensor) -> torch.Tensor:
        """(pictures, longest, kv_dim) patches, and rows and columns of each picture: (pictures, queries, embed_dim)."""
        sizes = [(int(height), int(width)) for height, width in target_sizes.tolist()]
        self._reach(sizes, patches.device)
        positions = [self.pos_embed[:height, :width].flatten(0, 1) for height, width in sizes]
        lengths = torch.tensor([len(one) for one in positions], device=patches.device)
        padding = torch.arange(patches.shape[1], device=patches.device)[None] >= lengths[:, None]

        # Contiguous all: how torch multiplies what is not, and to which last bit, depends on what requires a gradient.
        values = self.ln_kv(self.kv_proj(patches)).transpose(0, 1).contiguous()
        keys = values + nn.utils.rnn.pad_sequence(positions).to(values.dtype)
        queries = self.ln_q(self.query)[:, None].repeat(1, len(sizes), 1)
        found, _ = self.attn(queries, keys, values, key_padding_mask=padding, need_weights=False)
        projected: torch.Tensor = self.ln_post(found.transpose(0, 1)) @ self.proj
        return projected

    def _reach(self, sizes: list[tuple[int, int]], device: torch.device) -> None:
        """Make the table anew where a picture has more rows or columns of patches than it holds, or lies elsewhere."""
        held = self.pos_embed.shape
        height, width = (max(held[axis], *(size[axis] for size in sizes)) for axis in (0, 1))
        if (height, width) != tuple(held[:2]) or self.pos_embed.device != device:
            self.make_table(height, width, device)
