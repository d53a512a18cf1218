"""The second vision tower: a ConvNeXt without its head, whose stages all give features.

Its keys are those under which published ConvNeXt weights are stored: stem, stages, blocks, conv_dw, norm, mlp, gamma.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

EPSILON = 1e-6
FIRST_SCALE = 1e-6  # of a block that is not loaded: so small that what the block does hardly shows


class LayerNorm2d(nn.LayerNorm):
    """A norm over the channels of (pictures, channels, height, width)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=EPSILON)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return super().forward(pixels.permute(0, 2, 3, 1).contiguous()).permute(0, 3, 1, 2).contiguous()


class DropPath(nn.Module):
    """Stochastic depth: in train mode a block is left out for a picture, with this probability."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.drop_prob = rate

    def forward(self, added: torch.Tensor) -> torch.Tensor:
        if not self.training or self.drop_prob == 0:
            return added
        kept = 1 - self.drop_prob
        return added * torch.bernoulli(added.new_full((len(added), 1, 1, 1), kept)) / kept


class Mlp(nn.Module):
    """Two linear layers over the channels, which come last."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        mixed: torch.Tensor = self.fc2(self.act(self.fc1(pixels)))
        return mixed


class Block(nn.Module):
    """A wide depthwise convolution, a norm and two linear layers, scaled by `gamma` and added to what came in."""

    def __init__(self, channels: int, drop_path: float) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(channels, channels, kernel_size=7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=EPSILON)
        self.mlp = Mlp(channels)
        self.gamma = nn.Parameter(FIRST_SCALE * torch.ones(channels))
        self.drop_path = DropPath(drop_path)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        seen = self.mlp(self.norm(self.conv_dw(pixels).permute(0, 2, 3, 1).contiguous()))
        added: torch.Tensor = self.drop_path((seen * self.gamma).permute(0, 3, 1, 2).contiguous())
        return pixels + added


class Stage(nn.Module):
    """Blocks of one width, after a step down to half the side in all stages but the first."""

    def __init__(self, before: int, channels: int, drop_paths: Sequence[float], halves: bool) -> None:
        super().__init__()
        self.downsample: nn.Module = nn.Identity()
        if halves:
            self.downsample = nn.Sequential(LayerNorm2d(before), nn.Conv2d(before, channels, kernel_size=2, stride=2))
        self.blocks = nn.Sequential(*(Block(channels, rate) for rate in drop_paths))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.blocks(self.downsample(pixels))
        return out


def stem(channels: int) -> nn.Sequential:
    """Patches of four by four pixels, and a norm."""
    return nn.Sequential(nn.Conv2d(3, channels, kernel_size=4, stride=4), LayerNorm2d(channels))


def stages(channels: Sequence[int], depths: Sequence[int], drop_path: float) -> nn.Sequential:
    """The stages. From block to block the probability of being left out rises in a line from 0 to `drop_path`."""
    total = sum(depths)
    rates = [drop_path * number / max(1, total - 1) for number in range(total)]
    made, first = [], 0
    for number, (width, depth) in enumerate(zip(channels, depths)):  # noqa: B905 - of equal length
        before = channels[max(0, number - 1)]
        made.append(Stage(before, width, rates[first : first + depth], halves=number > 0))
        first += depth
    return nn.Sequential(*made)
