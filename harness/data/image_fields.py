"""The images of a sample: how either format names them, and whether they can be seen."""

from __future__ import annotations

import re
from dataclasses import replace
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Any

from harness.data.pixels import is_blank
from harness.data.sample import MARKER

if TYPE_CHECKING:
    from pathlib import Path

    from harness.data.place import Place
    from harness.data.sample import Turn

NUMBERED_MARKER = re.compile(r"<image_[0-9]+>")


def llava_images(entry: dict[str, Any], place: Place) -> tuple[str, ...]:
    """The image files, in the order of the markers."""
    value = entry.get("image", [])
    return _file_names(value if isinstance(value, list) else [value], place)


def minicpm_images(
    entry: dict[str, Any], turns: tuple[Turn, ...], place: Place
) -> tuple[tuple[Turn, ...], tuple[str, ...]]:
    """The turns with plain markers, and the image files in the order of those."""
    value = entry.get("image", "")
    if isinstance(value, dict):
        return _numbered_images(value, turns, place)
    turns, _ = _numbered_images({}, turns, place)
    if value == "":
        return turns, ()
    if MARKER not in turns[0].text:
        turns = (replace(turns[0], text=f"{MARKER}\n{turns[0].text}"), *turns[1:])
    return turns, _file_names([value], place)


def _numbered_images(
    files: dict[str, Any], turns: tuple[Turn, ...], place: Place
) -> tuple[tuple[Turn, ...], tuple[str, ...]]:
    markers = [marker for turn in turns for marker in NUMBERED_MARKER.findall(turn.text)]
    if sorted(markers) != sorted(files):
        what = f"numbered markers in the turns: {shortened(markers)}, under image: {shortened(list(files))}"
        raise place.refusal(what, "use each marker under image once in the turns, and no other")
    turns = tuple(replace(turn, text=NUMBERED_MARKER.sub(MARKER, turn.text)) for turn in turns)
    return turns, _file_names([files[marker] for marker in markers], place)


def _file_names(values: list[Any], place: Place) -> tuple[str, ...]:
    for value in values:
        if not isinstance(value, str) or not value:
            do = "write its path relative to this file, or leave image out for text only"
            raise place.refusal(f"image {shortened(value)} is no file name", do)
    return tuple(values)


def require_markers(turns: tuple[Turn, ...], images: int, place: Place) -> None:
    """Refuse turns whose markers are not one per image, all shown by the user."""
    markers = sum(turn.text.count(MARKER) for turn in turns)
    if markers != images:
        first = "MiniCPM-V's format puts a single image first if the first turn has no marker"
        raise place.refusal(f"{MARKER} markers: {markers}, images: {images}", f"write one per image ({first})")
    if any(MARKER in turn.text for turn in turns if turn.speaker == "assistant"):
        raise place.refusal(f"an assistant's answer holds {MARKER}", "show images in the user's turns")


def looks_blank(image: Path, place: Place) -> bool:
    """Whether the image has one colour throughout; refuses a file that cannot be decoded to its end."""
    try:
        return is_blank(image)
    except FileNotFoundError:
        raise place.refusal(f"image {str(image)!r} does not exist", "add the file or correct its path") from None
    except Exception as error:  # pillow's decoders raise anything from SyntaxError to struct.error
        what = f"image {str(image)!r} cannot be read: {str(error) or type(error).__name__}"
        raise place.refusal(what, "replace the file") from None
