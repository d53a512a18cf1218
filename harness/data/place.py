"""Naming the sample that is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.refusal import Refused

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Place:
    """Where a sample stands: its file, its index from 0, and its id once that is known."""

    file: Path
    index: int
    id: str | None = None

    def refusal(self, what: str, do: str) -> Refused:
        """The exception to raise."""
        name = "no id" if self.id is None else f"id {self.id!r}"
        return Refused(what, where=f"{self.file}[{self.index}] ({name})", do=do)
