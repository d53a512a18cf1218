"""Draw the shipped pictures and write the shipped conversations: `python -m harness.data.draw [DIR]`."""

from __future__ import annotations

import json
import re
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.data.conversations import CONVERSATIONS
from harness.data.pictures import PICTURES
from harness.data.sample import MARKER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.data.sample import Sample

LLAVA_NAMES = {"user": "human", "assistant": "gpt"}


def draw(directory: Path) -> None:
    """Write images/*.png, conversations.json and conversations_minicpm.json."""
    images = directory / "images"
    images.mkdir(parents=True, exist_ok=True)
    for name, paint in PICTURES.items():
        paint().image().save(images / f"{name}.png", optimize=True)
    write_json(directory / "conversations.json", map(as_llava, CONVERSATIONS))
    write_json(directory / "conversations_minicpm.json", map(as_minicpm, CONVERSATIONS))


def write_json(path: Path, entries: Iterable[dict[str, Any]]) -> None:
    """Write the entries as one list, the same bytes on every system."""
    text = json.dumps(list(entries), indent=2, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")


def as_llava(sample: Sample) -> dict[str, Any]:
    """The sample as an entry of LLaVA's format."""
    names = [image.as_posix() for image in sample.images]
    image = {"image": names[0] if len(names) == 1 else names} if names else {}
    turns = [{"from": LLAVA_NAMES[turn.speaker], "value": turn.text} for turn in sample.turns]
    return {"id": sample.id, **image, "conversations": turns}


def as_minicpm(sample: Sample) -> dict[str, Any]:
    """The sample as an entry of MiniCPM-V's format.

    Its markers are numbered, except that a single image shown in the first turn goes by its path alone.
    """
    names = [image.as_posix() for image in sample.images]
    texts = [turn.text for turn in sample.turns]
    image: str | dict[str, str]
    if not names:
        image = ""
    elif len(names) == 1 and MARKER in texts[0]:
        image = names[0]
        texts[0] = texts[0].removeprefix(f"{MARKER}\n")
    else:
        number = count()
        texts = [re.sub(MARKER, lambda _: _numbered(next(number)), text) for text in texts]
        image = {_numbered(place): name for place, name in enumerate(names)}
    speakers = [turn.speaker for turn in sample.turns]
    turns = [{"role": speaker, "content": text} for speaker, text in zip(speakers, texts, strict=True)]
    return {"id": sample.id, "image": image, "conversations": turns}


def _numbered(place: int) -> str:
    return f"<image_{place:02}>"


def main(arguments: list[str]) -> None:
    """Draw into the directory named, or over the shipped samples."""
    draw(Path(arguments[0]) if arguments else Path(__file__).parent / "samples")


if __name__ == "__main__":
    main(sys.argv[1:])
