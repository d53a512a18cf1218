"""The sizes of OmniLMM-12B, published and tiny."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.refusal import Refused

HEAD_OF_RESAMPLER = 128  # its heads are the hidden size over this, so that no hidden size can be smaller
IMAGE_TOKENS, OTHER_TOKENS = 3, 6

THRESHOLDS = {
    "the tower's positions are resampled": "pictures are larger than the tower was made for, 448 over 224 and 56 over "
    "28",
    "the resampler's positions are resampled": "there are more patches than queries, 1024 over 64 and 16 over 4",
    "the tower's last block is an Identity": "there are blocks before it, 63 and 2",
    "key and value heads are fewer": "8 of 32 and 1 of 2",
    "sliding window": "4096 tokens, which no sample of either size reaches",
}
"""Each branch that depends on a size, and how full and tiny come to the same side of it."""


@dataclass(frozen=True)
class Dimensions:
    """The sizes of one configuration. `added` tokens stand behind the `ordinary` ones: 3 for images, or 9."""

    hidden: int
    feed_forward: int
    layers: int
    heads: int
    key_value_heads: int
    ordinary: int
    positions: int
    vision_hidden: int
    vision_feed_forward: int
    vision_blocks: int  # the last of which is replaced by an Identity
    vision_heads: int
    vision_image: int
    patch: int
    queries: int
    resolution: int
    added: int = IMAGE_TOKENS + OTHER_TOKENS

    def __post_init__(self) -> None:
        if math.isqrt(self.queries) ** 2 != self.queries:
            raise Refused(
                f"num_query {self.queries} is no square: the resampler's grid has int(sqrt(num_query)) rows",
                do=f"use {math.isqrt(self.queries) ** 2} or {(math.isqrt(self.queries) + 1) ** 2}",
            )
        if self.hidden % HEAD_OF_RESAMPLER:
            raise Refused(
                f"hidden size {self.hidden}: the resampler has one head for every {HEAD_OF_RESAMPLER} of it",
                do=f"use a multiple of {HEAD_OF_RESAMPLER}",
            )

    @property
    def vocabulary(self) -> int:
        return self.ordinary + self.added


PUBLISHED = Dimensions(
    hidden=4096,
    feed_forward=14336,
    layers=32,
    heads=32,
    key_value_heads=8,
    ordinary=32_000,
    positions=32_768,
    vision_hidden=1792,
    vision_feed_forward=15_360,
    vision_blocks=64,
    vision_heads=16,
    vision_image=224,
    patch=14,
    queries=64,
    resolution=448,
)
TINY = Dimensions(
    hidden=HEAD_OF_RESAMPLER,
    feed_forward=256,
    layers=2,
    heads=2,
    key_value_heads=1,
    ordinary=576,
    positions=2048,
    vision_hidden=32,
    vision_feed_forward=64,
    vision_blocks=3,
    vision_heads=2,
    vision_image=28,
    patch=14,
    queries=4,
    resolution=56,
)
