"""What every sample must be, whichever format it was written in, and again when it is about to be learned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness.data.pixels import opened
from harness.data.sample import MARKER
from harness.refusal import Refused

if TYPE_CHECKING:
    from PIL import Image

    from harness.data.sample import Sample, Turn


def flaws(turns: Sequence[Turn], images: int) -> Iterator[tuple[str, str]]:
    """What is wrong with turns about so many images, and what to do: nothing for a sample that is whole."""
    yield from _of_dialogue(turns)
    yield from _of_markers(turns, images)


def decoded_images(sample: Sample) -> list[Image.Image]:
    """The sample's images in RGB. Raises Refused, naming the sample, if it is broken in any way."""
    try:
        for what, do in flaws(sample.turns, len(sample.images)):
            raise Refused(what, do=do)
        return [opened(path) for path in sample.images]
    except Refused as refused:
        raise Refused(f"sample {sample.id}: {refused.what}", do=refused.do) from None


def _of_dialogue(turns: Sequence[Turn]) -> Iterator[tuple[str, str]]:
    for number, turn in enumerate(turns):
        expected = "assistant" if number % 2 else "user"
        if turn.speaker != expected:
            what = f"turn {number} is the {turn.speaker}'s where the {expected}'s should be"
            yield what, "begin with the user and take turns"
        if turn.speaker == "assistant" and not turn.text.strip():
            yield f"turn {number}: the assistant's answer is empty", "write an answer"
        if not _is_unicode(turn.text):
            yield f"turn {number} holds half a character, a lone surrogate", "write the text as whole characters"
    if len(turns) % 2:
        yield "no assistant turn follows the last user turn", "add the answer"


def _of_markers(turns: Sequence[Turn], images: int) -> Iterator[tuple[str, str]]:
    markers = sum(turn.text.count(MARKER) for turn in turns)
    if markers != images:
        first = "MiniCPM-V's format puts a single image first if the first turn has no marker"
        yield f"{MARKER} markers: {markers}, images: {images}", f"write one per image ({first})"
    if any(MARKER in turn.text for turn in turns if turn.speaker == "assistant"):
        yield f"an assistant's answer holds {MARKER}", "show images in the user's turns"


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
