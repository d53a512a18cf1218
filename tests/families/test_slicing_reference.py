"""The reference of MiniCPM's slicing gives what is recorded, the published results, and values worked out by hand."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.families import slicing_reference as reference
from tests.families.slicing_reference import RECORDED, SIZES, Size

RECORDS: dict[str, Any] = json.loads(RECORDED.read_text())


def test_the_recorded_sizes_are_the_listed_ones() -> None:
    assert set(RECORDS) == {f"{width}x{height}" for width, height in SIZES}
    assert len(RECORDS) == 11


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
def test_what_is_recorded_is_what_the_reference_gives(size: Size) -> None:
    assert reference.record(size) == RECORDS[f"{size[0]}x{size[1]}"]


@pytest.mark.parametrize(
    ("name", "slices", "grid", "tile", "queries"),
    [
        ("64x64", 1, None, None, 96),
        ("449x448", 3, [2, 1], None, 288),
        ("1344x1344", 10, [3, 3], [448, 448], 960),
        ("4032x3024", 10, [3, 3], [518, 392], 960),
    ],
)
def test_published_results(name: str, slices: int, grid: Any, tile: Any, queries: int) -> None:
    seen = RECORDS[name]

    assert (seen["slices"], seen["grid"], seen["query_tokens"]) == (slices, grid, queries)
    assert len(seen["tiles"]) == slices - 1
    assert tile is None or seen["tiles"] == [tile] * (slices - 1)


def test_every_record_agrees_with_itself() -> None:
    for seen in RECORDS.values():
        pictures = [seen["source"], *seen["tiles"]]
        assert seen["target_sizes"] == [[height / 14, width / 14] for width, height in pictures]
        assert [end - start for start, end in seen["image_bounds"]] == [96] * seen["slices"]
        assert [start - 1 for start, _ in seen["image_bounds"]] == seen["positions"]["<image>"]
        assert [end for _, end in seen["image_bounds"]] == seen["positions"]["</image>"]
        assert seen["placeholder_tokens"] == seen["query_tokens"] + sum(map(len, seen["positions"].values()))
        assert len(set(seen["pixels"])) == len(set(seen["patch_rows"])) == seen["slices"]


@pytest.mark.parametrize(
    ("length", "divisor", "multiple"), [(35, 14, 28), (49, 14, 56), (36, 14, 42), (3, 14, 14), (4032, 3, 4032)]
)
def test_halves_go_to_the_even_multiple_and_nothing_to_zero(length: float, divisor: int, multiple: int) -> None:
    assert reference.ensure_divide(length, divisor) == multiple


@pytest.mark.parametrize(
    ("size", "upscale", "resized"),
    [
        ((64, 64), True, (448, 448)),
        ((64, 64), False, (70, 70)),  # 4.57 patches
        ((336, 1008), False, (252, 770)),  # 775.96 -> 775 high, 258.3 -> 258 wide: 55.4 and 18.4 patches
        ((1034, 1000), True, (448, 434)),  # 440.6 -> 440 high is 31.4 patches; 441 would be 31.5
        ((969, 1000), True, (434, 448)),  # 455 high, 440.9 -> 440 wide
        ((1344, 1008), True, (518, 392)),  # 387.98 -> 387 high, 516 wide: 27.6 and 36.9 patches
    ],
)
def test_resizing_worked_by_hand(size: Size, upscale: bool, resized: Size) -> None:
    assert reference.best_resize(size, 448, 14, upscale) == resized


@pytest.mark.parametrize(
    ("size", "max_slices", "grid"),
    [
        ((448, 448), 9, None),
        ((500, 500), 9, (1, 2)),  # as far from 1x2 as from 2x1: the first wins
        ((336, 1008), 9, (1, 3)),  # 1.7 areas: 2 or 3 tiles, and 1x3 is its very shape
        ((500, 2500), 4, (1, 4)),  # 3 or 4 tiles: 1x5 is its shape, but 5 are too many
        ((4032, 3024), 1, None),
    ],
)
def test_grids_worked_by_hand(size: Size, max_slices: int, grid: Size | None) -> None:
    assert reference.best_grid(size, 448, max_slices) == grid


def test_a_side_that_the_grid_does_not_divide_is_rounded_before_it_is_shared() -> None:
    # both sides become 9, so the tiles are square; 3.33 by 2.67 would give (3, 3)
    assert reference.tile_size((10, 8), (3, 3), 4, 1) == (4, 4)


def test_patches_are_read_like_words_and_laid_along_the_width() -> None:
    pixels = np.arange(16, dtype=np.float32).reshape(1, 4, 4)

    assert reference.laid_along_the_width(pixels, 2).tolist() == [
        [[0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]]
    ]


def test_pixels_run_from_minus_one_to_one_with_channels_first() -> None:
    seen = reference.normalised(np.array([[[0, 255, 51]]], dtype=np.uint8))

    assert seen.dtype == np.float32
    assert seen.shape == (3, 1, 1)
    assert seen.ravel() == pytest.approx([-1, 1, -0.6])


def test_tokens_and_bounds_of_a_grid() -> None:
    one = ["<image>", "<unk>", "<unk>", "</image>"]
    image = reference.ruled_image(12, 12)

    seen = reference.sliced(image, 4, 1, 4, 2)

    assert seen.grid == (2, 2)
    assert seen.tokens == [*one, "<slice>", *one, *one, "\n", *one, *one, "</slice>"]
    assert seen.image_bounds == [(1, 3), (6, 8), (10, 12), (15, 17), (19, 21)]


def test_tiles_follow_the_source_row_by_row() -> None:
    quarters = np.repeat(np.repeat(np.array([[10, 20], [30, 40]], dtype=np.uint8), 448, 0), 448, 1)
    image = Image.fromarray(quarters).convert("RGB")

    seen = reference.sliced(image, 448, 14, 4, 96)

    assert [int(picture[224, 100, 0]) for picture in seen.pictures[1:]] == [10, 20, 30, 40]
    assert [picture.shape for picture in seen.pictures] == [(448, 448, 3)] * 5
    assert [rows.shape for rows in seen.patch_rows] == [(3, 14, 32 * 32 * 14)] * 5
    assert seen.target_sizes == [(32, 32)] * 5
