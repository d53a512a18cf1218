"""The sizes of the Mini-Gemini models, published and tiny.

What depends on size, and how the tiny form crosses it (`THRESHOLDS`): a picture's finer features must be a whole number
of cells for each patch, and more than one; CLIP must have layers below and above the one that is selected; the
ConvNeXt more than one block in a stage, of which the last alone can be trained, blocks whose stochastic depth is above
zero, and more than one place in its last stage (a product of a matrix with one row alone depends, to the last bit, on
where in memory the matrix lies); tokens must go to fewer experts than there are, and reach each of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["llama", "gemma", "mixtral"]

SELECT_LAYER = -2  # of CLIP: the layer before its last one feeds all the rest
STRIDE_OF_STEM = 4
THRESHOLDS = ("cells", "clip.layers", "aux.depths", "places_of_the_last_stage", "experts")
EXPERTS_OF_A_TOKEN = 2


@dataclass(frozen=True)
class Clip:
    """The sizes of the first tower."""

    hidden: int = 1024
    feed_forward: int = 4096
    layers: int = 24
    heads: int = 16
    image: int = 336
    patch: int = 14

    @property
    def side(self) -> int:
        return self.image // self.patch


@dataclass(frozen=True)
class ConvNext:
    """The sizes of the second tower; its stochastic depth is what the published weights were trained with."""

    channels: tuple[int, ...] = (192, 384, 768, 1536)
    depths: tuple[int, ...] = (3, 3, 27, 3)
    drop_path: float = 0.1

    @property
    def width(self) -> int:
        return sum(self.channels)


@dataclass(frozen=True)
class Dimensions:
    """The sizes of one configuration."""

    kind: Kind
    hidden: int
    layers: int
    heads: int
    key_value_heads: int
    feed_forward: int
    vocabulary: int
    head: int = 128
    experts: int = 0
    positions: int = 4096
    rope_theta: float = 10_000.0
    epsilon: float = 1e-5
    image_aux: int = 768
    grid: int = 1
    whole: bool = False
    clip: Clip = Clip()
    aux: ConvNext = ConvNext()

    @property
    def tied(self) -> bool:
        return self.kind == "gemma"

    @property
    def views(self) -> int:
        return self.grid**2 + self.whole

    @property
    def image_tokens(self) -> int:
        return self.views * self.clip.side**2

    @property
    def cells(self) -> int:
        """How many finer features each patch chooses among."""
        return (self.image_aux // STRIDE_OF_STEM // self.grid // self.clip.side) ** 2

    @property
    def places_of_the_last_stage(self) -> int:
        side: int = self.image_aux // STRIDE_OF_STEM // 2 ** (len(self.aux.depths) - 1)
        return side**2

    def in_high_resolution(self) -> Dimensions:
        """The HD variant: pictures cut in four and seen whole too, by a second tower at twice the side."""
        return replace(self, grid=2, whole=True, image_aux=2 * self.image_aux)


PUBLISHED = {
    "2b": Dimensions("gemma", 2048, 18, 8, 1, 16384, 256_000, head=256, positions=8192, epsilon=1e-6),
    "7b": Dimensions("llama", 4096, 32, 32, 32, 11008, 32_000),
    "8b": Dimensions("llama", 4096, 32, 32, 8, 14336, 128_256, positions=8192, rope_theta=500_000.0),
    "13b": Dimensions("llama", 5120, 40, 40, 40, 13824, 32_000),
    "8x7b": Dimensions("mixtral", 4096, 32, 32, 8, 14336, 32_000, experts=8, positions=32_768, rope_theta=1e6),
    "34b": Dimensions("llama", 7168, 60, 56, 8, 20480, 64_000, rope_theta=5e6),
}

_TINY = Dimensions(
    "llama",
    hidden=64,
    layers=2,
    heads=2,
    key_value_heads=2,
    feed_forward=172,
    vocabulary=576,
    head=32,
    positions=1024,
    image_aux=80,
    clip=Clip(hidden=64, feed_forward=128, layers=4, heads=2, image=20, patch=4),
    aux=ConvNext(channels=(8, 16, 24, 32), depths=(1, 1, 3, 1)),
)
TINY = {
    "2b": replace(_TINY, kind="gemma", key_value_heads=1, epsilon=1e-6),
    "7b": _TINY,
    "8b": replace(_TINY, key_value_heads=1, vocabulary=640, rope_theta=500_000.0),
    "13b": _TINY,
    "8x7b": replace(_TINY, kind="mixtral", key_value_heads=1, feed_forward=64, experts=4, rope_theta=1e6),
    "34b": replace(_TINY, key_value_heads=1, rope_theta=5e6),
}
