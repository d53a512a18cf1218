"""The sizes of MiniCPM-Llama3-V 2.5, published and tiny."""

from __future__ import annotations

from dataclasses import dataclass

HEAD_OF_RESAMPLER = 128  # its heads are the hidden size over this, so that no hidden size can be smaller


@dataclass(frozen=True)
class Dimensions:
    """The sizes of one configuration.

    `ordinary` tokens come first, then `reserved` slots, of which some are begin, end, image and the like.
    """

    hidden: int
    feed_forward: int
    layers: int
    heads: int
    key_value_heads: int
    ordinary: int
    reserved: int
    positions: int
    vision_hidden: int
    vision_feed_forward: int
    vision_layers: int
    vision_heads: int
    vision_image: int
    patch: int
    queries: int
    resolution: int
    slices: int = 9

    @property
    def vocabulary(self) -> int:
        return self.ordinary + self.reserved


PUBLISHED = Dimensions(
    hidden=4096,
    feed_forward=14336,
    layers=32,
    heads=32,
    key_value_heads=8,
    ordinary=128_000,
    reserved=256,
    positions=8192,
    vision_hidden=1152,
    vision_feed_forward=4304,
    vision_layers=27,
    vision_heads=16,
    vision_image=980,
    patch=14,
    queries=96,
    resolution=448,
)
# What changes with the sizes; the tiny ones are on the same side of each.
THRESHOLDS = (
    "the resampler's heads are the hidden size over 128, at least one",
    "keys and values have fewer heads than queries",
    "a picture larger than its resolution is cut, a smaller one stays whole",
    "the tower has places for more patches than one slice has",
)
# Pictures of up to 5184 pixels stay whole: of the shipped samples some are cut and some are not.
TINY = Dimensions(
    hidden=HEAD_OF_RESAMPLER,
    feed_forward=256,
    layers=2,
    heads=2,
    key_value_heads=1,
    ordinary=576,
    reserved=64,
    positions=1024,
    vision_hidden=64,
    vision_feed_forward=128,
    vision_layers=2,
    vision_heads=2,
    vision_image=144,
    patch=12,
    queries=4,
    resolution=72,
)
