"""How long a suite takes that covers every pair of a family's options."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure

ROOT = Path(__file__).parent.parent
BOUND_S = 180.0  # on two cores


def every_pair() -> Iterator[Figure]:
    """Wall time of the whole covering suite with all checks, by two workers; that it covers all is asserted."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).with_name("harness")), "run", "suites/covering", "-n", "2", "--out", folder]
        started = time.perf_counter()
        subprocess.run([*command, "--history", "off"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - started
        (covered,) = json.loads((Path(folder) / "run.json").read_text(encoding="utf-8"))["coverage"]
    assert covered["covered"] == covered["possible"]
    what = f"all {covered['covered']:,} pairs of {covered['axes']} options of LLaVA-1.5, in {covered['run']} recipes"
    yield Figure(what, [seconds], "s", BOUND_S)
