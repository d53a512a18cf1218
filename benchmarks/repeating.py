"""How many different outcomes the gate has when it is repeated."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.figure import Figure

ROOT = Path(__file__).parent.parent
REPEATS = 20
TIMED = {"measured.json"}  # times, memory and rates: the one file of a trace that may differ


def repeated_gates() -> Iterator[Figure]:
    """Distinct results files, and distinct traces, of twenty gates."""
    results, traces = set(), set()
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder)
            command = [str(Path(sys.executable).with_name("harness")), "run", "suites", "-n", "2", "--out", folder]
            subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
            results.add(_digest(out, [out / "results.jsonl"]))
            traces.add(_digest(out, out.glob("runs/**/trace/**/*")))
    yield Figure(f"different results files of {REPEATS} gates", [len(results)], "", 1)
    yield Figure(f"different traces of {REPEATS} gates", [len(traces)], "", 1)


def _digest(root: Path, files: Iterable[Path]) -> str:
    """One digest over the names and contents of files, whatever the order in which they are found."""
    whole = hashlib.sha256()
    for path in sorted(path for path in files if path.is_file() and path.name not in TIMED):
        whole.update(f"{path.relative_to(root)}\n".encode())
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()
