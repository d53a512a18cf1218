"""The sizes of MiniCPM-Llama3-V 2.5, published and tiny, and the configuration they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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


def configuration(d: Dimensions) -> Any:
    """The model's configuration, of the class that the code files define."""
    from harness.families.minicpm import tokens
    from harness.families.minicpm.code_files.configuration_minicpm import MiniCPMVConfig

    ids = tokens.ids(d)
    return MiniCPMVConfig(
        hidden_size=d.hidden,
        intermediate_size=d.feed_forward,
        num_hidden_layers=d.layers,
        num_attention_heads=d.heads,
        num_key_value_heads=d.key_value_heads,
        vocab_size=d.vocabulary,
        max_position_embeddings=d.positions,
        rms_norm_eps=1e-5,
        rope_theta=500_000.0,
        bos_token_id=ids[tokens.BEGIN],
        eos_token_id=ids[tokens.END],
        tie_word_embeddings=False,
        use_cache=False,
        query_num=d.queries,
        image_size=d.resolution,
        patch_size=d.patch,
        drop_vision_last_layer=False,
        batch_vision_input=True,
        slice_mode=True,
        slice_config={"max_slice_nums": d.slices, "patch_size": d.patch, "scale_resolution": d.resolution},
        vision_config={
            "hidden_size": d.vision_hidden,
            "image_size": d.vision_image,
            "intermediate_size": d.vision_feed_forward,
            "num_attention_heads": d.vision_heads,
            "num_hidden_layers": d.vision_layers,
            "patch_size": d.patch,
        },
    )
