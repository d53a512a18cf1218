"""How many drawn recipes can be tried in a session, each with all checks of one run, and what that does to memory."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure

RECIPES = 300
SECONDS = 300.0
WORKERS = 2
GROWTH_MIB = (
    16.0  # of the session's own process, from its first quarter to its last; batches have processes of their own
)


def drawn_recipes() -> Iterator[Figure]:
    """300 tiny recipes of seed 0 in two workers: the seconds without imports, and what the processes grow by."""
    from harness.strategies.drawing import Drawing
    from harness.strategies.found import KEPT, named, told
    from harness.strategies.search import Asked, search, so_many

    asked = Asked(Drawing(interrupted=False), turns=("silent",), workers=WORKERS, shrinks=0, alone=True)
    own: list[float] = []
    begun: list[float] = []

    def more(number: int) -> bool:
        """The clock runs from the first batch on: before, the parents import."""
        begun[:] = begun or [time.perf_counter()]
        return so_many(RECIPES)(number)

    def seen(which: str, batch: object) -> None:
        own.append(resident_mib())

    with tempfile.TemporaryDirectory() as folder:
        done = search(asked, Path(folder), more, seen)
    seconds = time.perf_counter() - begun[0]
    found = [batch.found for _, batch in done.batches if batch.found]
    for name, one in named(found).items():
        print(*told(name, one, KEPT), sep="\n")
    yield Figure("batches of ten drawn recipes with a finding", [len(found)], "batches", 0)
    yield Figure(
        "300 drawn recipes with all checks of one run, 2 workers", [seconds * RECIPES / done.tried], "s", SECONDS
    )
    yield Figure("growth of the session's process over them", [_growth(own)], "MiB", GROWTH_MIB)
    yield Figure("growth of its workers over them", [_growth(done.peaks_mib)], "MiB", GROWTH_MIB)


def _growth(values: list[float]) -> float:
    """From the median of the first quarter to that of the last."""
    quarter = max(len(values) // 4, 1)
    return statistics.median(values[-quarter:]) - statistics.median(values[:quarter])


def resident_mib() -> float:
    """What this process has resident now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2
