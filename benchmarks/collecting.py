"""How long it takes to collect many items."""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure

ITEMS = 18_000
REPEATS = 3


def collect_many() -> Iterator[Figure]:
    """Wall time of collecting a suite of 18,000 checks, a whole process."""
    from harness.checks import CHECKS

    recipes = math.ceil(ITEMS / len(list(CHECKS)))
    with tempfile.TemporaryDirectory() as folder:
        suite = Path(folder) / "many.yaml"
        names = "\n".join(f"  recipe-{number}: {{seed: {number}}}" for number in range(recipes))
        suite.write_text(f"family: llava-1.5-7b\ndefaults: {{tune: [connector]}}\nrecipes:\n{names}\n")
        command = [sys.executable, "-m", "pytest", "-c", "/dev/null", "--collect-only", "-qq", str(suite)]
        seconds = []
        for _ in range(REPEATS):
            started = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - started)
    yield Figure(f"collecting {recipes * len(list(CHECKS)):,} items", seconds, "s", 15.0)
