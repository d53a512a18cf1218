"""The sizes of LLaVA-1.5, published and tiny, and the transformers configuration they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# What changes with the sizes; the tiny ones are on the same side of each.
THRESHOLDS = (
    "the tower has layers below and above the one whose features are taken",
    "most tokens of a sample with a picture are its picture's: more than one row and column of patches",
    "the pad and image tokens lie above the ordinary vocabulary, which has rows to spare",
)
FEATURE_LAYER = -2  # the tower's last but one layer feeds the connector: its last is never reached


@dataclass(frozen=True)
class Dimensions:
    """The sizes of one configuration. Heads of the language model are all key-value heads too, as in Llama 1 and 2."""

    hidden: int
    feed_forward: int
    layers: int
    heads: int
    vocabulary: int
    image_token: int
    vision_hidden: int = 1024
    vision_feed_forward: int = 4096
    vision_layers: int = 24
    vision_heads: int = 16
    image_size: int = 336
    patch: int = 14
    positions: int = 4096
    tied: bool = False

    @property
    def image_tokens(self) -> int:
        return (self.image_size // self.patch) ** 2

    @property
    def pad_token(self) -> int:
        return self.image_token + 1


PUBLISHED_7B = Dimensions(4096, 11008, 32, 32, 32064, 32000)
PUBLISHED_13B = Dimensions(5120, 13824, 40, 40, 32064, 32000)
TINY = Dimensions(
    hidden=64,
    feed_forward=172,
    layers=2,
    heads=2,
    vocabulary=576,
    image_token=512,
    vision_hidden=64,
    vision_feed_forward=256,
    vision_layers=3,
    vision_heads=2,
    image_size=140,
    positions=512,
)


def configuration(d: Dimensions) -> Any:
    """The transformers configuration of these sizes."""
    from transformers import LlavaConfig

    return LlavaConfig(
        text_config={
            "model_type": "llama",
            "hidden_size": d.hidden,
            "intermediate_size": d.feed_forward,
            "num_hidden_layers": d.layers,
            "num_attention_heads": d.heads,
            "num_key_value_heads": d.heads,
            "vocab_size": d.vocabulary,
            "max_position_embeddings": d.positions,
            "rms_norm_eps": 1e-5,
        },
        vision_config={
            "model_type": "clip_vision_model",
            "hidden_size": d.vision_hidden,
            "intermediate_size": d.vision_feed_forward,
            "num_hidden_layers": d.vision_layers,
            "num_attention_heads": d.vision_heads,
            "image_size": d.image_size,
            "patch_size": d.patch,
            "projection_dim": 768,
            "vocab_size": 32000,
        },
        image_token_index=d.image_token,
        image_seq_length=d.image_tokens,
        vision_feature_layer=FEATURE_LAYER,
        vision_feature_select_strategy="default",
        projector_hidden_act="gelu",
        pad_token_id=d.pad_token,
        tie_word_embeddings=d.tied,
    )
