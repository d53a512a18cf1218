"""Opening images the way the systems under test do, and looking at what they would see."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from harness.refusal import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from PIL import Image


def opened(path: Path) -> Image.Image:
    """The image in RGB, which is how processors read it. Raises Refused if it cannot be decoded to its end."""
    from PIL import Image

    try:
        with _truncated_files_raise(), Image.open(path) as image:
            return image.convert("RGB")
    except FileNotFoundError:
        raise Refused(f"image {str(path)!r} does not exist", do="add the file or correct its path") from None
    except Exception as error:  # pillow's decoders raise anything from SyntaxError to struct.error
        what = f"image {str(path)!r} cannot be read: {str(error) or type(error).__name__}"
        raise Refused(what, do="replace the file") from None


def is_blank(path: Path) -> bool:
    """Whether every pixel of the image is the same."""
    return opened(path).getcolors(maxcolors=1) is not None


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
