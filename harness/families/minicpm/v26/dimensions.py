"""The sizes of MiniCPM-V 2.6, published and tiny; the fields are those of 2.5."""

from __future__ import annotations

from dataclasses import replace

from harness.families.minicpm import dimensions

# Of the ordinary tokens the last is `<unk>` in the tiny vocabulary, and some other one in the published.
PUBLISHED = replace(
    dimensions.PUBLISHED,
    hidden=3584,
    feed_forward=18944,
    layers=28,
    heads=28,
    key_value_heads=4,
    ordinary=151_643,
    reserved=23,
    positions=32768,
    queries=64,
)
TINY = replace(dimensions.TINY, reserved=23)
# What changes with the sizes, and how the tiny ones are on the same side of it.
THRESHOLDS = (
    "the resampler's heads are the hidden size over 128: at 128 there is one",
    "key and value heads are fewer than heads: 1 of 2, for 4 of 28",
    "pictures of up to the resolution squared stay whole, and have no number in training: shipped samples do both",
    "rows and columns of patches are spread over the tower's table of positions: none of the tiny ones fills it",
)
