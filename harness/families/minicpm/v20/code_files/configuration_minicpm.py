"""The configuration of MiniCPM-V 2.0: MiniCPM's own, which is Llama's with three scales, and what a picture needs."""

from __future__ import annotations

from typing import Any

from transformers import LlamaConfig


class MiniCPMConfig(LlamaConfig):
    """Llama's settings and MiniCPM's scales: of the embeddings, of what each layer adds, and of the logits."""

    model_type = "minicpm"

    def __init__(
        self, scale_emb: float = 12, scale_depth: float = 1.4, dim_model_base: int = 256, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.scale_emb = scale_emb
        self.scale_depth = scale_depth
        self.dim_model_base = dim_model_base


class MiniCPMVConfig(MiniCPMConfig):
    """The language model's settings at the top level, the others beside them.

    `vision_encoder` is a name that timm knows; `vision_sizes` says what differs from what timm has under it.
    """

    model_type = "minicpmv"

    def __init__(
        self,
        vision_encoder: str = "vit_so400m_patch14_siglip_384.webli",
        vision_sizes: dict[str, int] | None = None,
        query_num: int = 64,
        image_size: int = 448,
        patch_size: int = 14,
        drop_vision_last_layer: bool = True,
        mm_use_im_start_end: bool = True,
        slice_mode: bool = True,
        max_slice_nums: int = 9,
        scale_resolution: int = 448,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vision_encoder = vision_encoder
        self.vision_sizes = dict(vision_sizes or {})
        self.query_num = query_num
        self.image_size = image_size
        self.patch_size = patch_size
        self.drop_vision_last_layer = drop_vision_last_layer
        self.mm_use_im_start_end = mm_use_im_start_end
        self.slice_mode = slice_mode
        self.max_slice_nums = max_slice_nums
        self.scale_resolution = scale_resolution
