"""The sizes of MiniMind in its three generations and of MiniMind-V, published and tiny.

THRESHOLDS says which branches of the published code depend on a size, and how the tiny sizes come to the same side.
"""

from __future__ import annotations

from dataclasses import dataclass

THRESHOLDS = {
    "square projections": "queries and outputs are square, keys and values are not: native LoRA sits on squares alone",
    "rank below hidden": "native LoRA's own first factor is square where the rank is the hidden size",
    "several groups": "each head of keys and values serves at least two heads of queries",
    "inner layers": "more than two layers: the first and the last are not all of them",
    "every expert is met": "a batch is long enough for each expert to have some of its tokens",
    "tokens of a picture": "a run of as many image tokens as the encoder gives features, below the length of a sample",
}


@dataclass(frozen=True)
class Dimensions:
    """The sizes of one configuration. `experts` routed ones, `chosen` of them for a token, and `shared` for all."""

    hidden: int
    layers: int
    heads: int
    key_value_heads: int
    feed_forward: int
    vocabulary: int = 6400
    positions: int = 32768
    experts: int = 0
    chosen: int = 0
    shared: int = 0
    eps: float = 1e-5

    @property
    def head_dim(self) -> int:
        return self.hidden // self.heads


@dataclass(frozen=True)
class Vision:
    """The sizes of MiniMind-V's encoder, a SigLIP2 vision model that stays frozen."""

    hidden: int = 768
    layers: int = 12
    heads: int = 12
    feed_forward: int = 3072
    image: int = 256
    patch: int = 32

    @property
    def tokens(self) -> int:
        return (self.image // self.patch) ** 2


V1_SMALL = Dimensions(512, 8, 16, 8, 1408, positions=512)
V1 = Dimensions(768, 16, 16, 8, 2048, positions=512)
V1_MOE = Dimensions(512, 8, 16, 8, 1408, positions=512, experts=4, chosen=2, shared=1)
V1_TINY = Dimensions(64, 3, 4, 2, 192, vocabulary=576, positions=4096)
V1_MOE_TINY = Dimensions(64, 3, 4, 2, 192, vocabulary=576, positions=4096, experts=4, chosen=2, shared=1)

V2_SMALL = Dimensions(512, 8, 8, 2, 1408, positions=8192)
V2 = Dimensions(768, 16, 8, 2, 2048, positions=8192)
V2_MOE = Dimensions(640, 8, 8, 2, 1728, positions=8192, experts=4, chosen=2, shared=1)
V2_TINY = Dimensions(64, 3, 4, 2, 192, vocabulary=576, positions=4096)
V2_MOE_TINY = Dimensions(64, 3, 4, 2, 192, vocabulary=576, positions=4096, experts=4, chosen=2, shared=1)

V3 = Dimensions(768, 8, 8, 4, 2432, eps=1e-6)
V3_MOE = Dimensions(768, 8, 8, 4, 2432, experts=4, chosen=1, eps=1e-6)
V3_TINY = Dimensions(64, 3, 4, 2, 256, vocabulary=576, positions=4096, eps=1e-6)
V3_MOE_TINY = Dimensions(64, 3, 4, 2, 256, vocabulary=576, positions=4096, experts=4, chosen=1, eps=1e-6)

SIGLIP2 = Vision()
# 64 image tokens, as published, of 8 pixels each.
TINY_VISION = Vision(hidden=64, layers=2, heads=2, feed_forward=128, image=64, patch=8)
