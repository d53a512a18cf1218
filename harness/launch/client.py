"""Giving a job to a warm parent, or to a fresh interpreter where there is no fork, and waiting for its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from harness.launch.job import Job
from harness.launch.output import last_lines
from harness.launch.parents import job_environment
from harness.own_code import folders

START_LIMIT_S = 180.0


@dataclass(frozen=True)
class Ended:
    """How a job's process ended, seen from outside. `code` is negative for a signal, as in subprocess."""

    code: int
    timed_out: float | None = None
    peak_kb: int = 0

    @property
    def description(self) -> str:
        """In words, the same every time the same thing happens."""
        if self.timed_out:
            return f"killed after its limit of {self.timed_out:g} s"
        if self.code == -signal.SIGKILL:
            return "killed by SIGKILL, as the system does when memory runs out"
        if self.code < 0:
            return f"killed by {signal.Signals(-self.code).name}"
        return f"exited with status {self.code}"


class Launcher:
    """Runs jobs through the warm parent at a socket, or without one each in a fresh interpreter."""

    def __init__(self, path: str | None, environment: dict[str, str] | None = None) -> None:
        self.path = path
        self._environment = environment or {}

    @property
    def kind(self) -> str:
        return "forked from a warm parent" if self.path else "fresh interpreter"

    def run(self, job: Job) -> Ended:
        """Run one job to its end. Raises RuntimeError if the warm parent is gone."""
        job = replace(job, folders=folders())
        return self._forked(job, self.path) if self.path else self._fresh(job)

    def _forked(self, job: Job, path: str) -> Ended:
        with _connected(path) as connection, connection.makefile("rb") as lines:
            connection.sendall(job.to_line())
            lines.readline()  # the child's pid
            last = lines.readline()
        if not last:
            raise RuntimeError(f"the warm parent ended before its job did: {_said(path)}")
        return Ended(**json.loads(last))

    def _fresh(self, job: Job) -> Ended:
        environment = job_environment(self._environment)
        process = subprocess.Popen(
            [sys.executable, "-m", "harness.launch.fresh"],
            stdin=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        try:
            process.communicate(job.to_line(), timeout=job.seconds)
        except subprocess.TimeoutExpired:
            _kill(process)
            return Ended(process.returncode, timed_out=job.seconds)
        except BaseException:
            _kill(process)
            raise
        return Ended(process.returncode)


def _connected(path: str) -> socket.socket:
    """A connection to a warm parent, waiting while it still imports."""
    until = time.monotonic() + START_LIMIT_S
    while time.monotonic() < until:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(path)
            return connection
        except FileNotFoundError:
            connection.close()
            time.sleep(0.02)
        except ConnectionRefusedError:
            connection.close()
            break
    raise RuntimeError(f"the warm parent cannot be reached: {_said(path)}")


def _kill(process: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _said(path: str) -> str:
    """What the warm parent at a socket wrote last."""
    return last_lines(Path(path).with_name("log")) or "it said nothing"
