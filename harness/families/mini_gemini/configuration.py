"""The configuration that the sizes of a Mini-Gemini make."""

from __future__ import annotations

from typing import Any

from harness.families.mini_gemini.dimensions import EXPERTS_OF_A_TOKEN, SELECT_LAYER, Dimensions
from harness.families.mini_gemini.names import CLASSES
from harness.families.mini_gemini.tokens import Ids

# Weights of the second tower that were trained with stochastic depth keep it in train mode, frozen or not. It is on
# unless a script turns it off; here it is off, so that what is frozen is the same function at every pass.
DROP_PATH = False


def configuration(d: Dimensions, ids: Ids) -> Any:
    """The model's configuration, of the class that the code files define for its language model."""
    from harness.families.mini_gemini.code_files import configuration_mini_gemini as code

    return getattr(code, CLASSES[d.kind].configuration)(
        vocab_size=d.vocabulary,
        hidden_size=d.hidden,
        intermediate_size=d.feed_forward,
        num_hidden_layers=d.layers,
        num_attention_heads=d.heads,
        num_key_value_heads=d.key_value_heads,
        head_dim=d.head,
        max_position_embeddings=d.positions,
        rms_norm_eps=d.epsilon,
        rope_theta=d.rope_theta,
        tie_word_embeddings=d.tied,
        bos_token_id=ids.begin,
        eos_token_id=ids.end,
        pad_token_id=None,
        use_cache=False,
        mm_projector_type="mlp2x_gelu",
        mm_vision_select_layer=SELECT_LAYER,
        mm_vision_select_feature="patch",
        mm_use_im_start_end=False,
        mm_use_im_patch_token=False,
        image_aspect_ratio="pad",
        image_size_aux=d.image_aux,
        image_grid=d.grid,
        image_global=d.whole,
        vision_config={
            "hidden_size": d.clip.hidden,
            "intermediate_size": d.clip.feed_forward,
            "num_hidden_layers": d.clip.layers,
            "num_attention_heads": d.clip.heads,
            "image_size": d.clip.image,
            "patch_size": d.clip.patch,
            "projection_dim": 768,
        },
        vision_aux_channels=d.aux.channels,
        vision_aux_depths=d.aux.depths,
        drop_path=DROP_PATH,
        drop_path_rate=d.aux.drop_path,
        **({"num_local_experts": d.experts, "num_experts_per_tok": EXPERTS_OF_A_TOKEN} if d.experts else {}),
    )
