"""The sizes of MiniCPM-V 2.0, published and tiny."""

from __future__ import annotations

from dataclasses import dataclass

from harness.families.minicpm.dimensions import HEAD_OF_RESAMPLER


@dataclass(frozen=True)
class Dimensions:
    """The sizes of one configuration. Key-value heads are as many as heads; `queries` must be a square.

    The tower is built with `vision_layers` and loses the last. `image_token` is the id of the first of twelve tokens
    around pictures, which stand among the ordinary ones.
    """

    hidden: int
    feed_forward: int
    layers: int
    heads: int
    vocabulary: int
    image_token: int
    positions: int
    width_of_base: int
    vision_hidden: int
    vision_feed_forward: int
    vision_layers: int
    vision_heads: int
    vision_image: int
    patch: int
    queries: int
    resolution: int
    slices: int = 9


PUBLISHED = Dimensions(
    hidden=2304,
    feed_forward=5760,
    layers=40,
    heads=36,
    vocabulary=122_753,
    image_token=101,
    positions=4096,
    width_of_base=256,
    vision_hidden=1152,
    vision_feed_forward=4304,
    vision_layers=27,
    vision_heads=16,
    vision_image=384,
    patch=14,
    queries=64,
    resolution=448,
)
TINY = Dimensions(
    hidden=HEAD_OF_RESAMPLER,
    feed_forward=256,
    layers=2,
    heads=2,
    vocabulary=588,
    image_token=576,
    positions=1024,
    width_of_base=64,
    vision_hidden=64,
    vision_feed_forward=128,
    vision_layers=3,
    vision_heads=2,
    vision_image=72,
    patch=12,
    queries=4,
    resolution=72,
)
# What changes with the sizes, and how the tiny ones are on the same side of it.
THRESHOLDS = (
    "the resampler's heads are the hidden size over 128: at 128 there is one",
    "its queries are a square grid: 2 by 2 for 8 by 8",
    "logits are divided by the width over dim_model_base: by 2 for 9, where equal widths would divide by nothing",
    "a picture on the tower's own grid takes its positions as they are, another resamples them: samples do both",
    "the tower's last layer is dropped: 3 are built, 2 left",
)
