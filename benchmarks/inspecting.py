"""How long it takes to judge a directory as large as a model of 70 billion parameters has, and in how much memory."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure
from benchmarks.large_directory import write_large

REPEATS = 5
SECONDS, MEGABYTES = 3.0, 500.0
# What the kernel says of a process's own pages: the peak that wait4 tells is never less than its parent's.
_COMMAND = """
import re, resource, sys
from pathlib import Path
from harness.cli.main import status_of
status = status_of(sys.argv[1:])
assert not {"torch", "transformers"} & set(sys.modules)
page = Path("/proc/self/status")
peak = re.search(r"VmHWM:\\s+(\\d+)", page.read_text())[1] if page.exists() else None
print(int(peak) / 1e3 if peak else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, file=sys.stderr)
sys.exit(status)
"""


def inspect_large() -> Iterator[Figure]:
    """Wall time and peak memory of `harness inspect`, a whole process: by its own configuration, and against a base."""
    with tempfile.TemporaryDirectory() as folder:
        saved, base = (write_large(Path(folder) / name) for name in ("saved", "base"))
        for what, more in (("alone", []), ("against its base", ["--base", str(base)])):
            runs = [measured(["inspect", str(saved), *more]) for _ in range(REPEATS)]
            yield Figure(f"harness inspect of 70 B in 30 shards, {what}", [run[0] for run in runs], "s", SECONDS)
            yield Figure(f"its peak memory, {what}", [run[1] for run in runs], "MB", MEGABYTES)


def measured(arguments: list[str]) -> tuple[float, float]:
    """Seconds and megabytes of a command that ends well and imports neither torch nor transformers."""
    started = time.perf_counter()
    command = [sys.executable, "-c", _COMMAND, *arguments]
    ended = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
    return time.perf_counter() - started, float(ended.stderr.split()[-1])
