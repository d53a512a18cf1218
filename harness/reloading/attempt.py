"""Trying something that may fail, and keeping what was said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

ERROR_LENGTH = 1000
Made = TypeVar("Made")


def attempt(record: dict[str, Any], what: str, action: Callable[[], Made]) -> Made | None:
    """What the action gives; if it raises, the error under `<what>_error` and None."""
    try:
        return action()
    except Exception as error:
        record[f"{what}_error"] = f"{type(error).__name__}: {' '.join(str(error).split())[:ERROR_LENGTH]}"
        return None
