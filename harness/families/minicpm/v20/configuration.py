"""The configuration that the sizes of a MiniCPM-V 2.0 make."""

from __future__ import annotations

from typing import Any

from harness.families.minicpm.v20.dimensions import Dimensions


def configuration(d: Dimensions) -> Any:
    """The model's configuration, of the class that the code files define."""
    from harness.families.minicpm.v20.code_files.configuration_minicpm import MiniCPMVConfig

    return MiniCPMVConfig(
        hidden_size=d.hidden,
        intermediate_size=d.feed_forward,
        num_hidden_layers=d.layers,
        num_attention_heads=d.heads,
        num_key_value_heads=d.heads,
        vocab_size=d.vocabulary,
        max_position_embeddings=d.positions,
        rms_norm_eps=1e-5,
        rope_theta=10_000.0,
        bos_token_id=1,
        eos_token_id=2,
        tie_word_embeddings=False,
        use_cache=False,
        dim_model_base=d.width_of_base,
        vision_sizes={
            "image_size": d.vision_image,
            "patch_size": d.patch,
            "embed_dim": d.vision_hidden,
            "depth": d.vision_layers,
            "num_heads": d.vision_heads,
            "feed_forward": d.vision_feed_forward,
        },
        query_num=d.queries,
        image_size=d.resolution,
        patch_size=d.patch,
        max_slice_nums=d.slices,
        scale_resolution=d.resolution,
    )
