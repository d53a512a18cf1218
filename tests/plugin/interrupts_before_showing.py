"""A pytest plugin for sessions under test: Ctrl-C comes when a recipe is finished and written, and not yet shown."""

from __future__ import annotations

from typing import Any

from harness.report.progress import Screen

_finished = Screen.finished


def interrupted(self: Any, *arguments: Any, **options: Any) -> None:
    Screen.finished = _finished  # type: ignore[method-assign]
    raise KeyboardInterrupt


Screen.finished = interrupted  # type: ignore[method-assign]
