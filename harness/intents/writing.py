"""An intent file as text: short lists on one line, in the order in which people read it, with comments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import yaml

from harness.intents.file import NO_ADAPTERS

if TYPE_CHECKING:
    from harness.intents.file import IntentFile

WIDTH = 110


def as_text(file: IntentFile, before: Sequence[str] = (), after: Sequence[str] = ()) -> str:
    """The file's YAML, with lines of comment before and after it."""
    settings = file.model_dump(mode="json", exclude_unset=True)
    lines = [*_comments(before), *(line for key, value in settings.items() for line in _lines(key, value))]
    return "\n".join([*lines, *_comments(after)]) + "\n"


def _lines(key: str, value: Any) -> list[str]:
    if value == {"method": NO_ADAPTERS}:
        value = NO_ADAPTERS
    if isinstance(value, dict) and value:
        return [f"{key}:", *(f"  {line}" for name, inside in value.items() for line in _lines(str(name), inside))]
    line = f"{key}: {_flow(value)}"
    if isinstance(value, list) and len(line) > WIDTH:
        return [f"{key}:", *(f"  - {_flow(one)}" for one in value)]
    return [line]


def _flow(value: Any) -> str:
    """A value on one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=math.inf, allow_unicode=True).split("\n...")[0].strip()


def _comments(lines: Sequence[str]) -> list[str]:
    return [f"# {line}" if line else "#" for line in lines]
