"""The configuration that the sizes of a MiniCPM-V 2.6 make."""

from __future__ import annotations

from typing import Any

from harness.families.minicpm.dimensions import Dimensions
from harness.families.minicpm.v26 import tokens


def configuration(d: Dimensions) -> Any:
    """The model's configuration, of the class that the code files define."""
    from harness.families.minicpm.v26.code_files.configuration_minicpm import MiniCPMVConfig

    ids = tokens.ids(d)
    return MiniCPMVConfig(
        hidden_size=d.hidden,
        intermediate_size=d.feed_forward,
        num_hidden_layers=d.layers,
        num_attention_heads=d.heads,
        num_key_value_heads=d.key_value_heads,
        vocab_size=d.vocabulary,
        max_position_embeddings=d.positions,
        max_window_layers=d.layers,
        rms_norm_eps=1e-6,
        rope_theta=1_000_000.0,
        bos_token_id=ids[tokens.PAD],
        eos_token_id=ids[tokens.CLOSE],
        tie_word_embeddings=False,
        use_cache=False,
        query_num=d.queries,
        image_size=d.resolution,
        patch_size=d.patch,
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
