"""What a process is asked to do, and doing it. Standard library only: this runs before anything is imported."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SINGLE_THREADED = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONHASHSEED": "0",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


@dataclass(frozen=True)
class Job:
    """A function `module:name`, its JSON argument, the file its output goes to, and its limits."""

    target: str
    argument: dict[str, Any]
    output: str
    seconds: float = 600.0
    memory_gb: float | None = None
    environment: dict[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()  # whose modules it may import, after all others

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Job:
        return cls(**json.loads(line))


def perform(job: Job) -> int:
    """Run a job in this process, its output redirected to its file. Returns the exit status: 0, or 1 if it raised."""
    _redirect_output(Path(job.output))
    os.environ.update(job.environment)
    sys.path.extend(folder for folder in job.folders if folder not in sys.path)
    _limit_memory(job.memory_gb)
    try:
        module, _, name = job.target.partition(":")
        getattr(importlib.import_module(module), name)(job.argument)
        return 0
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _redirect_output(path: Path) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)


def _limit_memory(gigabytes: float | None) -> None:
    """Let the process grow by so much and no more; where the system has no such limit, none is set."""
    if gigabytes is None:
        return
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * os.sysconf("SC_PAGE_SIZE") + int(gigabytes * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
