"""The turns of a sample, in either format's words."""

from __future__ import annotations

from dataclasses import dataclass
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Any

from harness.data.sample import Speaker, Turn

if TYPE_CHECKING:
    from harness.data.place import Place


@dataclass(frozen=True)
class Format:
    """The words in which a format writes a turn."""

    speaker_key: str
    text_key: str
    speakers: dict[str, Speaker]


LLAVA = Format("from", "value", {"human": "user", "gpt": "assistant"})
MINICPM = Format("role", "content", {"user": "user", "assistant": "assistant"})


def read_turns(entry: dict[str, Any], place: Place) -> tuple[Format, tuple[Turn, ...]]:
    """The format in which the sample is written, and its turns."""
    written = _written_turns(entry, place)
    form = MINICPM if MINICPM.speaker_key in written[0] else LLAVA
    return form, tuple(_read_turn(turn, form, number, place) for number, turn in enumerate(written))


def _written_turns(entry: dict[str, Any], place: Place) -> list[dict[str, Any]]:
    if "conversations" not in entry:
        raise place.refusal("'conversations' is missing", "write the turns as a list under conversations")
    turns = entry["conversations"]
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise place.refusal("conversations is not a list of objects", "write each turn as an object")
    if not turns:
        raise place.refusal("conversations is empty", "write a user's turn and an assistant's")
    return turns


def _read_turn(turn: dict[str, Any], form: Format, number: int, place: Place) -> Turn:
    for key in (form.speaker_key, form.text_key):
        if key not in turn:
            keys = "from and value (LLaVA) or role and content (MiniCPM-V)"
            raise place.refusal(f"turn {number}: {key!r} is missing", f"write {keys} in every turn")
        if not isinstance(turn[key], str):
            raise place.refusal(f"turn {number}: {key} {shortened(turn[key])} is no text", "write a string")
    name = turn[form.speaker_key]
    if name not in form.speakers:
        known = " or ".join(form.speakers)
        raise place.refusal(f"turn {number}: unknown speaker {shortened(name)}", f"write {known}")
    return Turn(form.speakers[name], turn[form.text_key])
