"""Opening images the way the systems under test do, and looking at what they would see."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def is_blank(path: Path) -> bool:
    """Whether every pixel is the same once the image is RGB, which is how processors read it.

    Decodes the whole file, so a damaged one raises what pillow raises.
    """
    from PIL import Image

    with _truncated_files_raise(), Image.open(path) as image:
        return image.convert("RGB").getcolors(maxcolors=1) is not None


@contextmanager
def _truncated_files_raise() -> Iterator[None]:
    """Some training scripts switch on, for the whole process, that missing pixels are filled with grey."""
    from PIL import ImageFile

    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before
