"""The two vision towers of Mini-Gemini, under the names that its checkpoints have for them.

A tower in which nothing trains is run without gradient. One in which something trains must not be, or what is set to
train never does.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import interpolate
from transformers import CLIPVisionModel

from .configuration_mini_gemini import _MiniGemini


class _Tower(nn.Module):
    """`is_optimize` says whether gradients pass; None is for: where something in it trains."""

    is_optimize: bool | None = None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        first = next(self.parameters())
        trains = self.is_optimize
        if trains is None:
            trains = any(parameter.requires_grad for parameter in self.parameters())
        with torch.set_grad_enabled(torch.is_grad_enabled() and trains):
            return self.features(images.to(device=first.device, dtype=first.dtype))

    def features(self, images: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


class CLIPVisionTower(_Tower):
    """CLIP's patches, as its last but one layer has them: the last and the norm after it are never reached."""

    def __init__(self, config: _MiniGemini) -> None:
        super().__init__()
        self.select_layer = config.mm_vision_select_layer
        self.vision_tower = CLIPVisionModel(config.vision_config)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """(views, patches, width)."""
        seen = self.vision_tower(images, output_hidden_states=True).hidden_states[self.select_layer]
        patches: torch.Tensor = seen[:, 1:]
        return patches


class OpenCLIPVisionTower(_Tower):
    """A ConvNeXt at a higher resolution, the features of all its stages side by side."""

    def __init__(self, stem: nn.Module, stages: nn.Sequential) -> None:
        super().__init__()
        self.vision_stem = stem
        self.vision_stages = stages

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """(pictures, width of all stages, side, side), where the side is that of the first stage."""
        seen = self.vision_stem(images)
        found: list[torch.Tensor] = []
        for stage in self.vision_stages:
            seen = stage(seen)
            side = found[0].shape[-2:] if found else seen.shape[-2:]
            found.append(_resized(seen, side))
        return torch.cat(found, dim=1)


def _resized(features: torch.Tensor, side: torch.Size) -> torch.Tensor:
    if features.shape[-2:] == side:
        return features
    wide = interpolate(features.float(), size=tuple(side), mode="bilinear", align_corners=False)
    return wide.to(features.dtype)
