"""Two processes one after the other that make one run. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Interruption:
    """The checkpoint between two processes, after how many steps it is left, and which of the two this one is: the one
    that leaves it, or the one that goes on. Without a file, nothing interrupts the run."""

    file: Path | None = None
    after: int = 0
    goes_on: bool = False

    @property
    def ends_early(self) -> bool:
        """Whether another process goes on with this run."""
        return self.file is not None and not self.goes_on

    @property
    def first_step(self) -> int:
        """How many steps another process has made before this one."""
        return self.after if self.goes_on else 0

    @property
    def options(self) -> dict[str, Any]:
        """What an engine is told of it: those that can be interrupted alone know the word."""
        return {"interruption": self} if self.file else {}


def interruption_of(given: dict[str, Any] | None) -> Interruption:
    """The interruption that a job's argument tells of."""
    return Interruption(Path(given["file"]), given["after"], given["goes_on"]) if given else Interruption()
