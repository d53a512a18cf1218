"""From a picture of any size to slices of about one size, each as a row of patches, or, for 2.0, as it is.

Sizes are (width, height) and grids (columns, rows); target sizes are (rows, columns) of patches, as the model takes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor

Size = tuple[int, int]


def whole(length: float, divisor: int) -> int:
    """The multiple of the divisor that is nearest, one at least."""
    return max(divisor, divisor * round(length / divisor))


class MiniCPMVImageProcessor(BaseImageProcessor):
    """Cuts pictures, normalises the slices, and says what stands for a picture in the prompt."""

    model_input_names = ["pixel_values"]  # noqa: RUF012
    use_image_id = False
    im_id_start, im_id_end = "<image_id>", "</image_id>"

    def __init__(
        self,
        max_slice_nums: int = 9,
        scale_resolution: int = 448,
        patch_size: int = 14,
        image_feature_size: int = 96,
        im_start: str = "<image>",
        im_end: str = "</image>",
        slice_start: str = "<slice>",
        slice_end: str = "</slice>",
        unk: str = "<unk>",
        slice_mode: bool = True,
        norm_mean: Sequence[float] = (0.5, 0.5, 0.5),
        norm_std: Sequence[float] = (0.5, 0.5, 0.5),
        version: float = 2.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.max_slice_nums = max_slice_nums
        self.scale_resolution = scale_resolution
        self.patch_size = patch_size
        self.image_feature_size = image_feature_size
        self.im_start, self.im_end = im_start, im_end
        self.slice_start, self.slice_end = slice_start, slice_end
        self.unk = unk
        self.slice_mode = slice_mode
        self.norm_mean, self.norm_std = list(norm_mean), list(norm_std)
        self.version = version

    def preprocess(self, images: Image.Image | Sequence[Image.Image], **kwargs: Any) -> BatchFeature:
        """The slices of some pictures, one after the other, with the size of each in patches."""
        given = [images] if isinstance(images, Image.Image) else list(images)
        pixels = [self.normalised(slice_) for image in given for slice_ in self.slices(image.convert("RGB"))]
        sizes = [[one.shape[1] // self.patch_size, one.shape[2] // self.patch_size] for one in pixels]
        rows = [torch.from_numpy(one if self.version < 2.5 else self.in_a_row(one)) for one in pixels]
        return BatchFeature(data={"pixel_values": rows, "tgt_sizes": torch.tensor(sizes, dtype=torch.int32)})

    def slices(self, image: Image.Image) -> list[Image.Image]:
        """The picture made smaller, then, if it is large enough to be cut, its parts row by row."""
        grid = self.grid(image.size)
        source = image.resize(self.fitted(image.size, grow=grid is None), Image.Resampling.BICUBIC)
        if grid is None:
            return [source]
        columns, rows = grid
        width, height = self.slice_size(image.size, grid)
        refined = image.resize((columns * width, rows * height), Image.Resampling.BICUBIC)
        corners = [(column * width, row * height) for row in range(rows) for column in range(columns)]
        return [source, *(refined.crop((left, top, left + width, top + height)) for left, top in corners)]

    def grid(self, size: Size) -> Size | None:
        """The grid whose shape comes nearest to the picture's, or None for a picture that is not cut."""
        width, height = size
        wanted = min(math.ceil(width * height / self.scale_resolution**2), self.max_slice_nums)
        if wanted <= 1 or not self.slice_mode:
            return None
        shape, nearest, best = math.log(width / height), math.inf, None
        for number in (wanted - 1, wanted, wanted + 1):
            if number == 1 or number > self.max_slice_nums:
                continue
            for columns in (c for c in range(1, number + 1) if number % c == 0):
                rows = number // columns
                distance = abs(shape - math.log(columns / rows))
                if distance < nearest:
                    nearest, best = distance, (columns, rows)
        return best

    def fitted(self, size: tuple[float, float], grow: bool) -> Size:
        """The size in whole patches, of the same shape, with about as many pixels as one slice should have."""
        width, height = size
        if grow or width * height > self.scale_resolution**2:
            ratio = width / height
            height = int(self.scale_resolution / math.sqrt(ratio))
            width = int(height * ratio)
        return whole(width, self.patch_size), whole(height, self.patch_size)

    def slice_size(self, size: Size, grid: Size) -> Size:
        """The size of every slice of a picture cut in that grid."""
        width, height = (whole(length, number) / number for length, number in zip(size, grid, strict=True))
        return self.fitted((width, height), grow=True)

    def normalised(self, image: Image.Image) -> np.ndarray[Any, Any]:
        """float32 of shape (3, height, width), around zero."""
        mean, std = (np.asarray(values, dtype=np.float32) for values in (self.norm_mean, self.norm_std))
        pixels = np.asarray(image).astype(np.float32) / np.float32(255)
        normal: np.ndarray[Any, Any] = ((pixels - mean) / std).transpose(2, 0, 1)
        return normal

    def in_a_row(self, pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """(3, height, width) pixels as (3, patch, patches * patch): the patches side by side, row after row."""
        side = self.patch_size
        channels, height, width = pixels.shape
        patches = pixels.reshape(channels, height // side, side, width // side, side).transpose(0, 2, 1, 3, 4)
        return np.ascontiguousarray(patches.reshape(channels, side, -1))

    def get_slice_image_placeholder(self, size: Size, number: int | None = None) -> str:
        """What stands in the prompt for a picture of that size: its queries, and those of its parts in their grid.

        From 2.6 on a picture may have a number before it, and parts have tokens of their own.
        """
        features = self.unk * self.image_feature_size
        one = f"{self.im_start}{features}{self.im_end}"
        numbered = one if number is None else f"{self.im_id_start}{number}{self.im_id_end}{one}"
        grid = self.grid(size)
        if grid is None:
            return numbered
        columns, rows = grid
        if self.version >= 2.6:
            return numbered + "\n".join([f"{self.slice_start}{features}{self.slice_end}" * columns] * rows)
        return numbered + self.slice_start + "\n".join([one * columns] * rows) + self.slice_end
