"""Starting and ending warm parents."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.launch.job import SINGLE_THREADED

BESIDE = "--beside"  # as harness.launch.warm reads it
HASH_SEED = "HARNESS_HASH_SEED"  # that of every process that trains or reloads, for who looks for what depends on it
FRESH = "HARNESS_FRESH_PROCESSES"  # set to 1 to do without fork


def can_fork() -> bool:
    """Whether warm parents work here: fork is there, and safe (it is not on macOS), and nobody forbade it."""
    return hasattr(os, "fork") and sys.platform == "linux" and os.environ.get(FRESH) != "1"


def job_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of every process that trains or reloads: one thread, a fixed hash seed, no hub."""
    seed = {"PYTHONHASHSEED": os.environ[HASH_SEED]} if os.environ.get(HASH_SEED) else {}
    return {**os.environ, **SINGLE_THREADED, **seed, **(extra or {})}


class WarmParent:
    """A warm parent process that this process has started, and will end; with `beside`, modules of a second one that
    is forked off when what both import is there: `socket_beside` is its own. Starting two takes little longer than one.
    """

    def __init__(
        self,
        name: str,
        modules: Sequence[str],
        environment: Mapping[str, str] | None = None,
        beside: Sequence[str] = (),
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix=f"harness-{name}-")
        first, second = Path(self._folder.name) / "first", Path(self._folder.name) / "beside"
        for folder in (first, second):
            folder.mkdir()
        self.socket, self.socket_beside = str(first / "jobs"), str(second / "jobs")
        self._log = (Path(self._folder.name) / "log").open("wb")
        also = [BESIDE, self.socket_beside, *beside] if beside else []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "harness.launch.warm", self.socket, *modules, *also],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=job_environment(environment),
        )

    def stop(self) -> None:
        """Close the lifeline and wait until the process is gone."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
        self._folder.cleanup()
