"""Small pieces of text that several reports need."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

_ESCAPE_SEQUENCE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|.)")
_LINE_ENDING = re.compile(r"\r\n?")


def duration(seconds: float) -> str:
    """`0.3 s`, `2 min 5 s`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def printable(text: str) -> str:
    """The text without what steers a terminal: findings may quote the output of somebody else's program."""
    if text.isprintable():
        return str.__str__(text)  # a plain one: a Reason is a text too
    lines = _LINE_ENDING.sub("\n", _ESCAPE_SEQUENCE.sub("", text))
    return "".join(character for character in lines if _is_printable(character))


def one_line(text: str) -> str:
    return " ".join(printable(text).split())


def fact(value: Any) -> str:
    """A value of the environment, nested or not, as one line."""
    return one_line(value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str))


def _is_printable(character: str) -> bool:
    return character in "\n\t" or unicodedata.category(character) not in {"Cc", "Cs"}
