"""The configuration of OmniLMM: Mistral's own, and what the vision tower and the resampler need."""

from __future__ import annotations

import math
from typing import Any

from transformers import MistralConfig

EVA02_ENORMOUS = {
    "img_size": 224,
    "patch_size": 14,
    "embed_dim": 1792,
    "depth": 64,
    "num_heads": 16,
    "mlp_hidden": 15_360,
}


class OmniLMMConfig(MistralConfig):
    """`tune_clip` False keeps the tower out of the model: its weights lie in the file that `mm_vision_tower` names.

    Token ids are not here: whoever loads the model must set them again (`initialize_vision_tokenizer`).
    """

    model_type = "omnilmm"

    def __init__(
        self,
        mm_vision_tower: str = "eva02_enormous_patch14_clip_224.laion2b_plus",
        mm_hidden_size: int = 4096,
        num_query: int = 64,
        image_size: int = 448,
        tune_clip: bool = True,
        mm_use_im_start_end: bool = True,
        tower_sizes: dict[str, int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if math.isqrt(num_query) ** 2 != num_query:
            raise ValueError(f"num_query {num_query} is no square: the resampler has int(sqrt(num_query)) squared")
        self.mm_vision_tower = mm_vision_tower
        self.mm_hidden_size = mm_hidden_size
        self.num_query = num_query
        self.image_size = image_size
        self.tune_clip = tune_clip
        self.mm_use_im_start_end = mm_use_im_start_end
        self.tower_sizes = dict(tower_sizes or EVA02_ENORMOUS)
