"""From a picture of any size to a square of pixels around zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class OmniLMMImageProcessor(BaseImageProcessor):
    """Squeezes pictures into a square, whatever their shape, and normalises them as CLIP does."""

    model_input_names = ["pixel_values"]  # noqa: RUF012

    def __init__(
        self,
        image_size: int = 448,
        num_query: int = 64,
        image_mean: Sequence[float] = CLIP_MEAN,
        image_std: Sequence[float] = CLIP_STD,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.image_size = image_size
        self.num_query = num_query
        self.image_mean, self.image_std = list(image_mean), list(image_std)

    def preprocess(self, images: Image.Image | Sequence[Image.Image], **kwargs: Any) -> BatchFeature:
        """(pictures, 3, size, size) float32."""
        given = [images] if isinstance(images, Image.Image) else list(images)
        return BatchFeature(data={"pixel_values": torch.stack([self.normalised(image) for image in given])})

    def normalised(self, image: Image.Image) -> torch.Tensor:
        square = image.convert("RGB").resize((self.image_size, self.image_size), Image.Resampling.BICUBIC)
        mean, std = (np.asarray(values, dtype=np.float32) for values in (self.image_mean, self.image_std))
        pixels = (np.asarray(square).astype(np.float32) / np.float32(255) - mean) / std
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
