"""The configuration that the sizes of an OmniLMM-12B make."""

from __future__ import annotations

from typing import Any

from harness.families.omnilmm import names
from harness.families.omnilmm.dimensions import Dimensions


def configuration(d: Dimensions, tune_clip: bool = True) -> Any:
    """The model's configuration, of the class that the code files define."""
    from harness.families.omnilmm.code_files.configuration_omnilmm import OmniLMMConfig

    return OmniLMMConfig(
        hidden_size=d.hidden,
        intermediate_size=d.feed_forward,
        num_hidden_layers=d.layers,
        num_attention_heads=d.heads,
        num_key_value_heads=d.key_value_heads,
        head_dim=d.hidden // d.heads,
        vocab_size=d.vocabulary,
        max_position_embeddings=d.positions,
        rms_norm_eps=1e-5,
        rope_theta=10_000.0,
        sliding_window=4096,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
        tie_word_embeddings=False,
        use_cache=False,
        mm_vision_tower=names.TOWER if tune_clip else names.TOWER_FILE,
        mm_hidden_size=d.hidden,
        num_query=d.queries,
        image_size=d.resolution,
        tune_clip=tune_clip,
        mm_use_im_start_end=True,
        tower_sizes={
            "img_size": d.vision_image,
            "patch_size": d.patch,
            "embed_dim": d.vision_hidden,
            "depth": d.vision_blocks,
            "num_heads": d.vision_heads,
            "mlp_hidden": d.vision_feed_forward,
        },
    )
