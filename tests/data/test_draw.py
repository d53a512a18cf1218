"""The shipped samples: drawn by the script beside them, the same every time, and of every kind."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from harness.data import SHIPPED, read_samples
from harness.data.canvas import Canvas, Point, Shape, disc, polygon, rectangle, stroke
from harness.data.conversations import CONVERSATIONS
from harness.data.draw import main
from harness.data.pictures import PICTURES

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = SHIPPED.parent
MINICPM = FOLDER / "conversations_minicpm.json"


@pytest.fixture(scope="module")
def redrawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("redrawn")
    main([str(folder)])
    return folder


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_redrawing_gives_the_same_files(redrawn: Path) -> None:
    assert files(redrawn) == files(FOLDER)


@pytest.mark.parametrize("name", PICTURES)
def test_redrawing_gives_the_same_pixels(redrawn: Path, name: str) -> None:
    picture = f"images/{name}.png"
    with Image.open(FOLDER / picture) as shipped, Image.open(redrawn / picture) as drawn:
        assert (drawn.mode, drawn.size) == (shipped.mode, shipped.size)
        assert drawn.tobytes() == shipped.tobytes()


@pytest.mark.parametrize("path", [SHIPPED, MINICPM], ids=lambda path: path.name)
def test_redrawing_gives_the_same_json(redrawn: Path, path: Path) -> None:
    assert (redrawn / path.name).read_bytes() == path.read_bytes()


def test_both_formats_hold_the_same_samples() -> None:
    assert read_samples(SHIPPED) == read_samples(MINICPM)


def test_what_is_read_is_what_was_written() -> None:
    read = read_samples(SHIPPED)
    assert [sample.id for sample in read] == [sample.id for sample in CONVERSATIONS]
    assert [sample.turns for sample in read] == [sample.turns for sample in CONVERSATIONS]
    assert [sample.kind for sample in read] == [sample.kind for sample in CONVERSATIONS]


def test_every_kind_is_there_more_than_once() -> None:
    kinds = Counter(sample.kind for sample in read_samples(SHIPPED))
    assert kinds["image"] >= 6
    assert kinds["text"] >= 4
    assert kinds["blank"] >= 2
    assert kinds["several"] >= 3


def test_the_first_samples_show_every_kind() -> None:
    assert {sample.kind for sample in read_samples(SHIPPED)[:4]} == {"image", "text", "blank", "several"}


def test_samples_differ_in_shape() -> None:
    samples = read_samples(SHIPPED)
    assert {len(sample.images) for sample in samples} == {0, 1, 2, 3}
    assert {len(sample.turns) for sample in samples} >= {2, 4, 6}
    lengths = sorted(len(turn.text) for sample in samples for turn in sample.turns[1::2])
    assert lengths[0] < 10
    assert lengths[-1] > 200
    sizes = {paint().image().size for paint in PICTURES.values()}
    assert sizes == {(96, 64), (64, 96), (80, 80), (128, 40)}


def test_every_picture_is_asked_about() -> None:
    assert {image.stem for sample in CONVERSATIONS for image in sample.images} == set(PICTURES)


def test_the_shipped_files_are_small() -> None:
    assert sum((FOLDER / name).stat().st_size for name in files(FOLDER)) < 200_000


@pytest.mark.parametrize(
    ("shape", "inside", "outside"),
    [
        (rectangle(2, 3, 4, 2), [(2, 3), (5, 4)], [(1, 3), (6, 4), (2, 5)]),
        (disc((5, 5), 3), [(5, 2), (8, 5), (7, 7)], [(8, 6), (5, 9)]),
        (polygon((5, 1), (9, 9), (1, 9)), [(5, 1), (5, 5), (1, 9)], [(4, 1), (1, 5), (5, 10)]),
        (stroke((2, 5), (8, 5), 2), [(2, 5), (8, 6), (1, 5)], [(0, 5), (5, 7), (10, 5)]),
    ],
    ids=["rectangle", "disc", "polygon", "stroke"],
)
def test_a_shape_covers_its_points(shape: Shape, inside: list[Point], outside: list[Point]) -> None:
    assert all(shape(*point) for point in inside)
    assert not any(shape(*point) for point in outside)


def test_later_paint_covers_earlier() -> None:
    canvas = Canvas(3, 1, (0, 0, 0))
    canvas.paint((1, 1, 1), rectangle(0, 0, 2, 1))
    canvas.paint((2, 2, 2), rectangle(1, 0, 1, 1))
    assert canvas.image().tobytes() == bytes([1, 1, 1, 2, 2, 2, 0, 0, 0])
