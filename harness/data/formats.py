"""Reading conversations in LLaVA's and MiniCPM-V's JSON formats.

A sample that is broken in any way is refused: the upstream readers skip it, or put a random other one in
its place, and the run then trains on something else than it was given.
"""

from __future__ import annotations

import json
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Any

from harness.data.dialogue import LLAVA, read_turns
from harness.data.flaws import flaws
from harness.data.image_fields import llava_images, minicpm_images
from harness.data.pixels import is_blank
from harness.data.place import Place
from harness.data.sample import Sample
from harness.refusal import Refused

if TYPE_CHECKING:
    from pathlib import Path


def read_samples(path: Path) -> tuple[Sample, ...]:
    """All samples of the file, in its order; image paths in it are relative to it."""
    samples = tuple(_read_sample(entry, path, index) for index, entry in enumerate(_read_entries(path)))
    first: dict[str, int] = {}
    for index, sample in enumerate(samples):
        if first.setdefault(sample.id, index) != index:
            place = Place(path, index, sample.id)
            raise place.refusal(f"sample {first[sample.id]} has the same id", "give every sample its own id")
    return samples


def _read_entries(path: Path) -> list[Any]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise Refused(f"cannot be read: {reason}", where=str(path), do="name a JSON file") from None
    except (ValueError, RecursionError) as error:
        raise Refused(f"is not JSON: {error}", where=str(path), do="write one JSON list of samples") from None
    if not isinstance(entries, list):
        raise Refused("is not a list", where=str(path), do="write one JSON list of samples")
    if not entries:
        raise Refused("holds no samples", where=str(path), do="add at least one sample")
    return entries


def _read_sample(entry: Any, file: Path, index: int) -> Sample:
    sample_id = _read_id(entry, Place(file, index))
    place = Place(file, index, sample_id)
    form, turns = read_turns(entry, place)
    if form is LLAVA:
        names = llava_images(entry, place)
    else:
        turns, names = minicpm_images(entry, turns, place)
    for what, do in flaws(turns, len(names)):
        raise place.refusal(what, do)
    images = tuple(file.parent / name for name in names)
    try:
        blank = [is_blank(image) for image in images]
    except Refused as refused:
        raise place.refusal(refused.what, refused.do) from None
    return Sample(sample_id, turns, images, blank=blank == [True])


def _read_id(entry: Any, place: Place) -> str:
    if not isinstance(entry, dict):
        raise place.refusal(f"{shortened(entry)} is not an object", "write an object with id and conversations")
    if "id" not in entry:
        raise place.refusal("'id' is missing", "give every sample its own id")
    value = entry["id"]
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise place.refusal(f"id {shortened(value)} is no name", "write a string or a whole number")
    return str(value)
