"""The EVA02 vision tower, under timm's names: absolute positions, norms after attention and feed-forward, and one
matrix for queries, keys and values, of which the keys have a bias of zeros that is no parameter."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

EPSILON = 1e-6
PREFIX = 1  # the class token


class PatchEmbed(nn.Module):
    """Patches of a picture as rows."""

    def __init__(self, patch_size: int, embed_dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, embed_dim, kernel_size=patch_size, stride=patch_size)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(pictures, 3, height, width) to (pictures, rows, columns, embed_dim)."""
        rows: torch.Tensor = self.proj(pixels).permute(0, 2, 3, 1)
        return rows


class EvaAttention(nn.Module):
    """Attention of all patches to all. What a trained tower has for key biases is zero, and not in its state dict."""

    k_bias: torch.Tensor

    def __init__(self, embed_dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(embed_dim, 3 * embed_dim, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(embed_dim))
        self.register_buffer("k_bias", torch.zeros(embed_dim), persistent=False)
        self.v_bias = nn.Parameter(torch.zeros(embed_dim))
        self.proj = nn.Linear(embed_dim, embed_dim)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        count, length, width = rows.shape
        bias = torch.cat([self.q_bias, self.k_bias, self.v_bias])
        mixed = F.linear(rows, self.qkv.weight, bias)
        query, key, value = mixed.view(count, length, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        found = F.scaled_dot_product_attention(query, key, value)
        projected: torch.Tensor = self.proj(found.transpose(1, 2).reshape(count, length, width))
        return projected


class Mlp(nn.Module):
    """The feed-forward part."""

    def __init__(self, embed_dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(embed_dim, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, embed_dim)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        wide: torch.Tensor = self.fc2(self.act(self.fc1(rows)))
        return wide


class EvaBlockPostNorm(nn.Module):
    """Attention, then feed-forward, each of them normalised before it is added."""

    def __init__(self, embed_dim: int, num_heads: int, mlp_hidden: int) -> None:
        super().__init__()
        self.attn = EvaAttention(embed_dim, num_heads)
        self.norm1 = nn.LayerNorm(embed_dim, eps=EPSILON)
        self.mlp = Mlp(embed_dim, mlp_hidden)
        self.norm2 = nn.LayerNorm(embed_dim, eps=EPSILON)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        rows = rows + self.norm1(self.attn(rows))
        added: torch.Tensor = rows + self.norm2(self.mlp(rows))
        return added


class Eva(nn.Module):
    """The tower without a head. Pictures of another size than it was made for get its positions resampled."""

    num_prefix_tokens = PREFIX

    def __init__(
        self, img_size: int, patch_size: int, embed_dim: int, depth: int, num_heads: int, mlp_hidden: int
    ) -> None:
        super().__init__()
        self.side = img_size // patch_size
        self.patch_embed = PatchEmbed(patch_size, embed_dim)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, self.side**2 + PREFIX, embed_dim))
        self.blocks = nn.ModuleList(EvaBlockPostNorm(embed_dim, num_heads, mlp_hidden) for _ in range(depth))
        self.norm = nn.LayerNorm(embed_dim, eps=EPSILON)

    def forward_features(self, pixels: torch.Tensor) -> torch.Tensor:
        """The rows of the class token and of every patch."""
        patches = self.patch_embed(pixels)
        rows = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches.flatten(1, 2)], dim=1)
        rows = rows + self.positions(patches.shape[1], patches.shape[2])
        for block in self.blocks:
            rows = block(rows)
        normed: torch.Tensor = self.norm(rows)
        return normed

    forward = forward_features

    def positions(self, height: int, width: int) -> torch.Tensor:
        """The learned positions, stretched over so many rows and columns of patches; the class token's stays."""
        if (height, width) == (self.side, self.side):
            return self.pos_embed
        prefix, grid = self.pos_embed[:, :PREFIX], self.pos_embed[:, PREFIX:]
        grid = grid.float().reshape(1, self.side, self.side, -1).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, size=(height, width), mode="bicubic", antialias=True)
        return torch.cat([prefix, grid.permute(0, 2, 3, 1).flatten(1, 2).to(prefix.dtype)], dim=1)


def create_tower(sizes: dict[str, int]) -> Eva:
    """The tower as OmniLMM takes it: its last block does nothing, so that the output is that of the one before."""
    tower = Eva(**sizes)
    tower.blocks[-1] = nn.Identity()
    return tower
