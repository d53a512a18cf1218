"""The vision tower under timm's names: fused query, key and value, and one table of positions that fits any grid."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

EPSILON = 1e-6
SIZES = {
    "vit_so400m_patch14_siglip_384.webli": {
        "image_size": 384,
        "patch_size": 14,
        "embed_dim": 1152,
        "depth": 27,
        "num_heads": 16,
        "feed_forward": 4304,
    }
}


class PatchEmbed(nn.Module):
    """Patches as vectors. A picture that is no whole number of patches is padded on the right and below."""

    def __init__(self, patch_size: int, embed_dim: int) -> None:
        super().__init__()
        self.patch_size = (patch_size, patch_size)
        self.proj = nn.Conv2d(3, embed_dim, kernel_size=patch_size, stride=patch_size)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(pictures, 3, height, width) to (pictures, rows, columns, width of the tower)."""
        height, width = (-side % self.patch_size[0] for side in pixels.shape[-2:])
        patches: torch.Tensor = self.proj(functional.pad(pixels, (0, width, 0, height)))
        return patches.permute(0, 2, 3, 1)


class Attention(nn.Module):
    """Attention among all patches of a picture, from one matrix for query, key and value."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.num_heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        pictures, places, width = states.shape
        parts = self.qkv(states).view(pictures, places, 3, self.num_heads, width // self.num_heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        projected: torch.Tensor = self.proj(mixed.transpose(1, 2).reshape(pictures, places, width))
        return projected


class Mlp(nn.Module):
    """The feed-forward layer."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(inner, width)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.fc2(self.act(self.fc1(states)))
        return made


class Block(nn.Module):
    """One layer of the tower."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPSILON)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=EPSILON)
        self.mlp = Mlp(width, inner)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        states = states + self.attn(self.norm1(states))
        added: torch.Tensor = states + self.mlp(self.norm2(states))
        return added


class VisionTransformer(nn.Module):
    """A SigLIP tower without the pooling that SigLIP ends in."""

    def __init__(
        self, image_size: int, patch_size: int, embed_dim: int, depth: int, num_heads: int, feed_forward: int
    ) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        self.patch_embed = PatchEmbed(patch_size, embed_dim)
        self.side = image_size // patch_size
        self.pos_embed = nn.Parameter(torch.zeros(1, self.side**2, embed_dim))
        self.blocks = nn.Sequential(*(Block(embed_dim, num_heads, feed_forward) for _ in range(depth)))
        self.norm = nn.LayerNorm(embed_dim, eps=EPSILON)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(pictures, 3, height, width) to (pictures, patches, width), row after row."""
        patches = self.patch_embed(pixels)
        rows, columns = patches.shape[1:3]
        states = patches.flatten(1, 2) + self.positions(rows, columns).to(patches.dtype)
        seen: torch.Tensor = self.norm(self.blocks(states))
        return seen

    def positions(self, rows: int, columns: int) -> torch.Tensor:
        """The learned positions on a grid: as they are on the tower's own, else resampled."""
        if (rows, columns) == (self.side, self.side):
            return self.pos_embed
        table = self.pos_embed.float().view(1, self.side, self.side, -1).permute(0, 3, 1, 2)
        fitted = functional.interpolate(table, size=(rows, columns), mode="bicubic", antialias=True)
        return fitted.permute(0, 2, 3, 1).flatten(1, 2)


def create_model(name: str, **sizes: Any) -> VisionTransformer:
    """The tower that timm has under that name, with other sizes where they are given."""
    return VisionTransformer(**{**SIZES[name], **sizes})
