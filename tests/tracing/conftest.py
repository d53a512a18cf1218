"""Scripts that know nothing of the harness, run many at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.trace.reader import Trace, read_trace
from harness.tracing import Ended, collected

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SCRIPTS = HERE / "scripts"


class Ran:
    """What came of one script: how it ended, what it printed, the files it wrote, its traces."""

    def __init__(self, directory: Path, status: int) -> None:
        self.directory, self.status = directory, status

    @property
    def printed(self) -> str:
        return (self.directory / "printed.txt").read_text()

    @property
    def traces(self) -> list[Trace]:
        return [one.trace for one in collected(self.directory / "out", Ended(self.status, 1.0))]

    @property
    def trace(self) -> Trace:
        return self.traces[0]

    def results(self) -> dict[str, Any]:
        """The results of the universal checks on the first trace, by check."""
        import harness

        return {result.check: result for result in harness.check(self.trace.directory)}


def run_many(jobs: Sequence[dict[str, Any]]) -> list[Ran]:
    """Run jobs one after the other, in processes forked off one parent."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TORCHDYNAMO_CACHE_SIZE_LIMIT": "64"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(HERE / "many.py")],
        input=json.dumps(list(jobs)),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    statuses = json.loads(done.stdout.splitlines()[-1])
    return [Ran(Path(job["directory"]), status) for job, status in zip(jobs, statuses, strict=True)]


def with_each_defect(
    way: str, place: Path, defects: Iterable[str], options: Mapping[str, Any] | None = None
) -> dict[str, Ran]:
    """A script of `ways`, traced without a defect, under the name "", and with each."""
    names, script = ["", *defects], str(HERE / "ways" / way)
    how = {"script": script, "traced": True, "options": dict(options or {})}
    jobs = [{**how, "directory": str(place / str(n)), "arguments": [name]} for n, name in enumerate(names)]
    return dict(zip(names, run_many(jobs), strict=True))


@pytest.fixture
def read() -> Callable[[Path], Trace]:
    return read_trace
