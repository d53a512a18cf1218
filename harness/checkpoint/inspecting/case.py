"""What a check of a saved directory is given."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.checkpoint.inspecting.directory import Directory
from harness.result import Finding


class NotJudged(Exception):
    """Why a check says nothing of a directory; no failure of either."""


@dataclass(frozen=True)
class Case:
    """A directory, its base, what kind of save it is, and what was meant to stay out of it."""

    saved: Directory
    base: Directory | None
    kind: str
    left_out: tuple[re.Pattern[str], ...] = ()
    without: frozenset[str] = frozenset()
    hashes: bool = False
    build: bool = True
    remembered: dict[str, Any] = field(default_factory=dict)
    """What one check has found out and others, or whoever prints it, want to know."""

    @property
    def path(self) -> Path:
        return self.saved.path

    @property
    def whole(self) -> bool:
        """Whether it is meant to hold a whole model."""
        return self.kind in ("full", "native")

    def is_left_out(self, key: str) -> bool:
        """Whether the tensor was meant not to be saved."""
        return any(pattern.match(key) for pattern in self.left_out)

    @property
    def repair(self) -> str:
        """The command that makes a completed copy."""
        base = f" --base {shlex.quote(str(self.base.path))}" if self.base else ""
        return f"harness inspect {shlex.quote(str(self.path))}{base} --repair"


Rule = Callable[[Case], Iterator[Finding]]


def by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "a number"
