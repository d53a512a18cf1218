"""MiniCPM-Llama3-V 2.5's slicing of images and the placeholder in the prompt, from the published rules alone.

It shares no code with the family, so that a mistake in one of the two shows as a difference between them.
`python -m tests.families.slicing_reference` writes what it gives for the recorded sizes to `recorded_slices.json`.

Sizes and grids are (width, height) and (columns, rows); target sizes are (height, width) in patches, as published.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from math import ceil, log, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

Size = tuple[int, int]

SCALE, PATCH, MAX_SLICES, QUERIES = 448, 14, 9, 96
RECORDED = Path(__file__).with_name("recorded_slices.json")
SIZES: list[Size] = [(64, 64), (448, 448), (449, 448), (448, 449), (1344, 1344), (4032, 3024)]
SIZES += [(3024, 4032), (1920, 1080), (336, 1008), (2000, 100), (777, 1333)]


@dataclass(frozen=True)
class Sliced:
    """One image as the model meets it: the source picture first, then the tiles row by row."""

    grid: Size | None
    pictures: list[NDArray[np.uint8]]  # each (height, width, 3)
    patch_rows: list[NDArray[np.float32]]  # each (3, patch, patches * patch)
    target_sizes: list[Size]
    tokens: list[str]  # of the placeholder; its first is the first `<image>`
    image_bounds: list[Size]  # positions in `tokens`, the end exclusive


def ruled_image(width: int, height: int) -> Image.Image:
    """Red runs eleven times from 0 to 255 along the width, green along the height; blue falls once along the width.

    Eleven is prime to every grid, so all tiles differ, and the edges tell filters of resizing apart. Each channel
    changes in one direction only: where both change, Pillow 13 gives some shapes other pixels than Pillow 12 does.
    """
    x, y = np.arange(width)[None, :], np.arange(height)[:, None]
    red, green, blue = x * 11 * 256 // width % 256, y * 11 * 256 // height % 256, 255 - x * 256 // width
    return Image.fromarray(np.stack(np.broadcast_arrays(red, green, blue), axis=-1).astype(np.uint8))


def ensure_divide(length: float, divisor: int) -> int:
    """The nearest multiple, at least one; halves go to the even multiple."""
    return max(round(length / divisor) * divisor, divisor)


def best_resize(size: tuple[float, float], scale: int, patch: int, upscale: bool) -> Size:
    """About `scale` squared pixels in the same shape, in whole patches; a smaller size grows only if asked."""
    width, height = size
    if upscale or width * height > scale * scale:
        ratio = width / height
        height = int(scale / sqrt(ratio))
        width = int(height * ratio)
    return ensure_divide(width, patch), ensure_divide(height, patch)


def best_grid(size: Size, scale: int, max_slices: int) -> Size | None:
    """The grid whose shape is nearest to the picture's, the first of equals; none for a picture that is not sliced."""
    width, height = size
    multiple = min(ceil(width * height / (scale * scale)), max_slices)
    if multiple <= 1:
        return None
    counts = [n for n in (multiple - 1, multiple, multiple + 1) if 1 < n <= max_slices]
    grids = [(columns, n // columns) for n in counts for columns in range(1, n + 1) if n % columns == 0]
    return min(grids, key=lambda grid: abs(log(width / height) - log(grid[0] / grid[1])))


def tile_size(size: Size, grid: Size, scale: int, patch: int) -> Size:
    """The size of one tile of the refined picture."""
    (width, height), (columns, rows) = size, grid
    share = ensure_divide(width, columns) / columns, ensure_divide(height, rows) / rows
    return best_resize(share, scale, patch, upscale=True)


def cut(image: Image.Image, scale: int, patch: int, grid: Size | None) -> list[NDArray[np.uint8]]:
    """The source picture and, where there is a grid, its tiles."""

    def resized(size: Size) -> NDArray[np.uint8]:
        return np.asarray(image.resize(size, Image.Resampling.BICUBIC))

    source = resized(best_resize(image.size, scale, patch, upscale=grid is None))
    if grid is None:
        return [source]
    columns, rows = grid
    width, height = tile_size(image.size, grid, scale, patch)
    refined = resized((width * columns, height * rows))
    corners = [(row * height, column * width) for row in range(rows) for column in range(columns)]
    return [source, *(refined[top : top + height, left : left + width] for top, left in corners)]


def normalised(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """From 0..255 to -1..1 and channels first; every operation in float32, which decides the last bit."""
    unit = picture.astype(np.float32) / np.float32(255)
    return ((unit - np.float32(0.5)) / np.float32(0.5)).transpose(2, 0, 1)


def laid_along_the_width(pixels: NDArray[np.float32], patch: int) -> NDArray[np.float32]:
    """The patches side by side, in the order in which one reads them."""
    rows, columns = pixels.shape[1] // patch, pixels.shape[2] // patch
    spots = [(row * patch, column * patch) for row in range(rows) for column in range(columns)]
    return np.concatenate([pixels[:, top : top + patch, left : left + patch] for top, left in spots], axis=2)


def placeholder(grid: Size | None, query_num: int) -> list[str]:
    r"""Token by token. "\n" between rows of slices is one token; the "\n" that follows in the prompt is left out."""
    one = ["<image>", *["<unk>"] * query_num, "</image>"]
    if grid is None:
        return one
    columns, rows = grid
    row = one * columns
    return [*one, "<slice>", *row, *(["\n", *row] * (rows - 1)), "</slice>"]


def sliced(image: Image.Image, scale: int, patch: int, max_slices: int, query_num: int) -> Sliced:
    """Everything the rules say about one RGB image."""
    grid = best_grid(image.size, scale, max_slices)
    pictures = cut(image, scale, patch, grid)
    patch_rows = [laid_along_the_width(normalised(picture), patch) for picture in pictures]
    target_sizes = [(picture.shape[0] // patch, picture.shape[1] // patch) for picture in pictures]
    tokens = placeholder(grid, query_num)
    starts, ends = ([at for at, token in enumerate(tokens) if token == end] for end in ("<image>", "</image>"))
    bounds = [(start + 1, end) for start, end in zip(starts, ends, strict=True)]
    return Sliced(grid, pictures, patch_rows, target_sizes, tokens, bounds)


def digest(array: NDArray[Any]) -> str:
    """blake2b, 8 bytes, of the elements in C order, little-endian."""
    return hashlib.blake2b(array.astype(array.dtype.newbyteorder("<")).tobytes(), digest_size=8).hexdigest()


def record(size: Size) -> dict[str, Any]:
    """What is recorded of the test image of one size, as JSON holds it."""
    given = sliced(ruled_image(*size), SCALE, PATCH, MAX_SLICES, QUERIES)
    sizes = [[picture.shape[1], picture.shape[0]] for picture in given.pictures]
    names = ("<image>", "</image>", "<slice>", "</slice>", "\n")
    return {
        "slices": len(given.pictures),
        "grid": list(given.grid) if given.grid else None,
        "source": sizes[0],
        "tiles": sizes[1:],
        "target_sizes": [list(target) for target in given.target_sizes],
        "query_tokens": given.tokens.count("<unk>"),
        "placeholder_tokens": len(given.tokens),
        "image_bounds": [list(bound) for bound in given.image_bounds],
        "positions": {name: [at for at, token in enumerate(given.tokens) if token == name] for name in names},
        "pixels": [digest(picture) for picture in given.pictures],
        "patch_rows": [digest(rows) for rows in given.patch_rows],
    }


if __name__ == "__main__":
    recorded = {f"{width}x{height}": record((width, height)) for width, height in SIZES}
    RECORDED.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")
