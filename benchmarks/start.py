"""How long a command takes that only lists facts."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure

REPEATS = 9


def list_checks() -> Iterator[Figure]:
    """Wall time of `harness list checks`, a whole process."""
    command = [str(Path(sys.executable).with_name("harness")), "list", "checks"]
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - started)
    yield Figure("harness list checks", seconds, "s", 0.5)
