"""The sizes of MiniCPM-V 4.6 and 4.7, published and tiny, and the library's configuration that they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Dimensions:
    """The sizes of one configuration. Of `period` layers of the language model the last attends in full, the others
    linearly.

    `ordinary` tokens come first, then the special ones; `rows` is how many the embeddings have.
    """

    hidden: int
    feed_forward: int
    layers: int
    heads: int
    key_value_heads: int
    head: int
    linear_heads: int
    linear_head: int
    ordinary: int
    rows: int
    rope_sections: tuple[int, int, int]
    vision_hidden: int
    vision_feed_forward: int
    vision_layers: int
    vision_heads: int
    vision_image: int
    patch: int
    merged_after: int
    resolution: int
    slices: int = 9
    period: int = 4


PUBLISHED = Dimensions(
    hidden=1024,
    feed_forward=3584,
    layers=24,
    heads=8,
    key_value_heads=2,
    head=256,
    linear_heads=16,
    linear_head=128,
    ordinary=248_044,
    rows=248_320,
    rope_sections=(11, 11, 10),
    vision_hidden=1152,
    vision_feed_forward=4304,
    vision_layers=27,
    vision_heads=16,
    vision_image=980,
    patch=14,
    merged_after=6,
    resolution=448,
)
TINY = Dimensions(
    hidden=64,
    feed_forward=128,
    layers=2,
    heads=2,
    key_value_heads=1,
    head=32,
    linear_heads=2,
    linear_head=16,
    ordinary=576,
    rows=600,
    rope_sections=(2, 1, 1),
    vision_hidden=64,
    vision_feed_forward=128,
    vision_layers=3,
    vision_heads=2,
    vision_image=96,
    patch=4,
    merged_after=1,
    resolution=64,
    period=2,
)
# What changes with the sizes, and how the tiny ones are on the same side of it.
THRESHOLDS = (
    "of four layers three are linear and one is full: of the tiny two one and one",
    "patches are merged inside the tower, with layers before and after: after the second of three",
    "key and value heads are fewer than heads",
    "embeddings have rows that no token uses",
    "pictures of up to the resolution squared stay whole: shipped samples are cut and not cut",
)


def _kind(number: int, d: Dimensions) -> str:
    return "linear_attention" if (number + 1) % d.period else "full_attention"


def configuration(kind: str, d: Dimensions, **ids: int) -> Any:
    """The configuration, of the library's class for `4_6` or `4_7`, with the ids that tokens have."""
    import transformers

    made = getattr(transformers, f"MiniCPMV{kind}Config")
    return made(
        text_config={
            "model_type": "qwen3_5_text",
            "hidden_size": d.hidden,
            "intermediate_size": d.feed_forward,
            "num_hidden_layers": d.layers,
            "layer_types": [_kind(number, d) for number in range(d.layers)],
            "num_attention_heads": d.heads,
            "num_key_value_heads": d.key_value_heads,
            "head_dim": d.head,
            "linear_num_key_heads": d.linear_heads,
            "linear_num_value_heads": d.linear_heads,
            "linear_key_head_dim": d.linear_head,
            "linear_value_head_dim": d.linear_head,
            "vocab_size": d.rows,
            "tie_word_embeddings": True,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000_000.0,
                "partial_rotary_factor": 0.25,
                "mrope_section": list(d.rope_sections),
                "mrope_interleaved": True,
            },
        },
        vision_config={
            "hidden_size": d.vision_hidden,
            "intermediate_size": d.vision_feed_forward,
            "num_hidden_layers": d.vision_layers,
            "num_attention_heads": d.vision_heads,
            "image_size": d.vision_image,
            "patch_size": d.patch,
        },
        insert_layer_id=d.merged_after,
        image_size=d.resolution,
        tie_word_embeddings=True,
        **ids,
    )
