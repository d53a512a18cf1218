"""What is said of a search while it goes on, and the counts at its end."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.strategies.each import Table
    from harness.strategies.search import Done
    from harness.strategies.searching import Batch

_ERASE_LINE = "\r\x1b[2K"
COUNTED = {"silent": "trained", "caught": "with a fault", "refused": "refused"}


@dataclass
class Screen:
    """On a terminal, one line that goes on; elsewhere a line for each batch."""

    minutes: float | None
    live: bool = field(default_factory=sys.stdout.isatty)
    started: float = field(default_factory=time.monotonic)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))
    found: int = 0

    def batch(self, which: str, batch: Batch) -> None:
        self.counts[which] += batch.tried
        self.found += batch.found is not None
        said = f"{which} {batch.number}: {batch.tried} tried, "
        said += f"FOUND  {batch.found.how}" if batch.found else "nothing found"
        if not self.live:
            print(said, flush=True)
        else:
            print(_ERASE_LINE + (f"{said}\n" if batch.found else "") + self._line(), end="", flush=True)

    def _line(self) -> str:
        gone = time.monotonic() - self.started
        whole = f" of {clock(60 * self.minutes)}" if self.minutes else ""
        return f"{clock(gone)}{whole}  {counted(self.counts)}; {self.found} found"

    def end(self) -> None:
        if self.live:
            print(_ERASE_LINE, end="", flush=True)


def counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {COUNTED[which]}" for which, number in counts.items() if number)


def summary(done: Done, found: int, seconds: float) -> str:
    """The counts of a search, in one line."""
    counts = {which: done.tried_of(which) for which in COUNTED}
    trained = counts["silent"] + counts["caught"]
    rate = f"{60 * trained / seconds:.0f} a minute" if seconds else "at once"
    return (
        f"{trained} recipes in {seconds:.0f} s, {rate} ({counted(counts)}); {found} broke a property;"
        f" a worker took at most {done.peak_mib:.0f} MiB"
    )


def cell_told(fault: str, family: str, verdict: str, batch: Batch) -> None:
    """One fault in one family, in one line."""
    how = f": {batch.found.how}" if batch.found else ""
    print(f"{fault} in {family}: {'applies to nothing drawn' if verdict == '-' else verdict}{how}", flush=True)


def table_summary(table: Table, cells: int) -> str:
    """The counts of what became of each fault in each family, in one line."""
    counts, tried = table.counts, sum(table.counts.values())
    nowhere = f"; nowhere to be put: {', '.join(table.nowhere)}" if tried == cells and table.nowhere else ""
    return (
        f"{tried} of {cells} pairs of fault and family: {counts['caught']} caught, {counts['missed']} missed,"
        f" {counts['-']} where it applies to nothing drawn{nowhere}"
    )


def clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
