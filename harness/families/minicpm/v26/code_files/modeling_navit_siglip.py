"""SigLIP over pictures of any shape: each brings its number of rows and columns, and padding is not attended to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from transformers.models.siglip.modeling_siglip import SiglipEncoder

if TYPE_CHECKING:
    from transformers import SiglipVisionConfig


class SiglipVisionEmbeddings(nn.Module):
    """Patches as vectors, each with the learned position that lies where it lies in its picture."""

    def __init__(self, config: SiglipVisionConfig) -> None:
        super().__init__()
        self.side = config.image_size // config.patch_size
        self.patch_embedding = nn.Conv2d(
            config.num_channels, config.hidden_size, kernel_size=config.patch_size, stride=config.patch_size
        )
        self.position_embedding = nn.Embedding(self.side**2, config.hidden_size)

    def forward(self, pixels: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
        """(pictures, 3, patch, patches * patch) to (pictures, patches, width)."""
        patches = self.patch_embedding(pixels).flatten(2).transpose(1, 2)
        places = torch.zeros(patches.shape[:2], dtype=torch.long, device=patches.device)
        for row, (height, width) in zip(places, sizes.tolist(), strict=True):
            grid = self.side * self._stretched(height)[:, None] + self._stretched(width)
            row[: height * width] = grid.flatten()
        embedded: torch.Tensor = patches + self.position_embedding(places)
        return embedded

    def _stretched(self, count: int) -> torch.Tensor:
        """So many places spread over the side of the table: the bucket that each falls into."""
        device = self.position_embedding.weight.device
        edges = torch.arange(1 / self.side, 1.0, 1 / self.side, device=device)
        shares = torch.arange(0, 1 - 1e-6, 1 / count, device=device)
        return torch.bucketize(shares, edges, right=True)


class SiglipVisionTransformer(nn.Module):
    """The tower without a head."""

    def __init__(self, config: SiglipVisionConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = SiglipVisionEmbeddings(config)
        self.encoder = SiglipEncoder(config)
        self.post_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, pixels: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
        """What is seen of pictures that lie in rows of patches, padded to the longest."""
        states = self.embeddings(pixels, sizes)
        real = torch.arange(states.shape[1])[None] < sizes.prod(dim=1)[:, None]
        mask = torch.zeros(real.shape, dtype=states.dtype).masked_fill(~real, torch.finfo(states.dtype).min)
        places = mask.to(states.device)[:, None, None].expand(-1, 1, states.shape[1], -1)
        seen = self.encoder(inputs_embeds=states, attention_mask=places)
        normal: torch.Tensor = self.post_layernorm(seen[0])
        return normal
