"""The images of a sample, as either format names them."""

from __future__ import annotations

import re
from dataclasses import replace
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Any

from harness.data.sample import MARKER

if TYPE_CHECKING:
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
