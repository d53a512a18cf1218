"""From a picture to what each tower sees of it: one large square for the ConvNeXt, and CLIP's views made from that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate
from transformers import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)


class MGMImageProcessor(BaseImageProcessor):
    """Pads pictures to squares and normalises them.

    `image_size` is CLIP's side, `image_size_aux` the ConvNeXt's. Where `image_grid` is above 1, CLIP sees so many parts
    along each side, and with `image_global` the whole after them.
    """

    model_input_names = ["pixel_values", "pixel_values_aux"]  # noqa: RUF012

    def __init__(
        self,
        image_size: int = 336,
        image_size_aux: int = 768,
        image_grid: int = 1,
        image_global: bool = False,
        patch_size: int = 14,
        image_mean: Sequence[float] = MEAN,
        image_std: Sequence[float] = DEVIATION,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.image_size, self.image_size_aux = image_size, image_size_aux
        self.image_grid, self.image_global = image_grid, image_global
        self.patch_size = patch_size
        self.image_mean, self.image_std = list(image_mean), list(image_std)

    @property
    def tokens_of_a_picture(self) -> int:
        return (self.image_grid**2 + self.image_global) * (self.image_size // self.patch_size) ** 2

    def preprocess(self, images: Image.Image | Sequence[Image.Image], **kwargs: Any) -> BatchFeature:
        """CLIP's views of some pictures, and the pictures at the ConvNeXt's size."""
        given = [images] if isinstance(images, Image.Image) else list(images)
        return self._views(torch.stack([self._normalised(image) for image in given]))

    def blank(self) -> BatchFeature:
        """What goes with a sample that has no picture: a picture of zeros."""
        return self._views(torch.zeros(1, 3, self.image_size_aux, self.image_size_aux))

    def _normalised(self, image: Image.Image) -> torch.Tensor:
        """float32 of shape (3, side, side) for the ConvNeXt."""
        size = (self.image_size_aux, self.image_size_aux)
        square = self._square(image.convert("RGB")).resize(size, Image.Resampling.BICUBIC)
        mean, std = (np.asarray(values, dtype=np.float32) for values in (self.image_mean, self.image_std))
        pixels = (np.asarray(square).astype(np.float32) / np.float32(255) - mean) / std
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))

    def _square(self, image: Image.Image) -> Image.Image:
        """The picture in the middle of a square of the mean colour."""
        side = max(image.size)
        background = tuple(int(value * 255) for value in self.image_mean)
        square = Image.new("RGB", (side, side), background)
        square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
        return square

    def _views(self, large: torch.Tensor) -> BatchFeature:
        grid = self.image_grid
        seen = _resized(large, self.image_size * grid)
        if grid > 1:
            rows = [row.chunk(grid, dim=3) for row in seen.chunk(grid, dim=2)]
            views = [part for row in rows for part in row]
            views += [_resized(seen, self.image_size)] if self.image_global else []
            seen = torch.stack(views, dim=1)
        return BatchFeature(data={"pixel_values": seen, "pixel_values_aux": large})


def _resized(pictures: torch.Tensor, side: int) -> torch.Tensor:
    return interpolate(pictures, size=(side, side), mode="bilinear", align_corners=False)
