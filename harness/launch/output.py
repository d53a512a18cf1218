"""What a process said before it ended, in one line."""

from __future__ import annotations

import re
from pathlib import Path

_WARNING = re.compile(r"(?:\[rank\d+\]:)?\[W\d")  # torch's own, in C++
LINES, LENGTH = 3, 500
TRACEBACK = "Traceback (most recent call last)"


def last_lines(path: Path) -> str:
    """The error that ended a process, or else the last lines it wrote, without the paths of one machine."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    said = [line.strip() for line in lines if line.strip() and not line.startswith(" ") and not _WARNING.match(line)]
    heads = [number for number, line in enumerate(said) if line.startswith(TRACEBACK)]
    shown = said[heads[-1] + 1 :][:LINES] if heads else said[-LINES:]
    return " / ".join(shown)[:LENGTH]
