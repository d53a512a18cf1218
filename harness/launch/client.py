"""Giving a job to a warm parent, or to a fresh interpreter where there is no fork, and waiting for its end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from harness.launch.job import Job
from harness.launch.output import last_lines
from harness.launch.parents import job_environment
from harness.own_code import folders

START_LIMIT_S = 180.0


@dataclass(frozen=True)
class Ended:
    """How a job's process ended, seen from outside. `code` is negative for a signal, as in subprocess; `stopped` is
    one that was not waited for any longer."""

    code: int
    timed_out: float | None = None
    peak_kb: int = 0
    stopped: bool = False

    @property
    def description(self) -> str:
        """In words, the same every time the same thing happens."""
        if self.timed_out:
            return f"killed after its limit of {self.timed_out:g} s"
        if self.stopped:
            return "stopped, for another process of the run had failed"
        if self.code == -signal.SIGKILL:
            return "killed by SIGKILL, as the system does when memory runs out"
        if self.code < 0:
            return f"killed by {signal.Signals(-self.code).name}"
        return f"exited with status {self.code}"


class Launcher:
    """Runs jobs through the warm parent at a socket, or without one each in a fresh interpreter."""

    def __init__(self, path: str | None, environment: dict[str, str] | None = None) -> None:
        self.path = path
        self.environment = environment or {}

    @property
    def kind(self) -> str:
        return "forked from a warm parent" if self.path else "fresh interpreter"

    def run(self, job: Job) -> Ended:
        """Run one job to its end. Raises RuntimeError if the warm parent is gone."""
        return self.begin(job).wait()

    def begin(self, job: Job) -> Running:
        """Start a job; wait for its end, or stop it. Raises RuntimeError if the warm parent cannot be reached."""
        job = replace(job, folders=folders())
        return _Forked(job, self.path) if self.path else _Fresh(job, self.environment)


class Running(Protocol):
    """A job that has been started."""

    def wait(self) -> Ended:
        """Wait until it has ended."""

    def stop(self) -> None:
        """Kill it and all it has started; whoever waits is told so."""


class _Forked:
    """A child of a warm parent. Whoever hangs up wants its job no more: the parent kills it."""

    def __init__(self, job: Job, path: str) -> None:
        self._path = path
        self._stopped = False
        self._connection = _connected(path)
        self._connection.sendall(job.to_line())

    def wait(self) -> Ended:
        with self._connection, self._connection.makefile("rb") as lines:
            lines.readline()  # the child's pid
            last = lines.readline()
        if not last and self._stopped:
            return Ended(-signal.SIGKILL, stopped=True)
        if not last:
            raise RuntimeError(f"the warm parent ended before its job did: {_said(self._path)}")
        return Ended(**json.loads(last))

    def stop(self) -> None:
        self._stopped = True
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)


class _Fresh:
    """A fresh interpreter for one job."""

    def __init__(self, job: Job, environment: dict[str, str]) -> None:
        self._job = job
        self._stopped = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "harness.launch.fresh"],
            stdin=subprocess.PIPE,
            env=job_environment(environment),
            start_new_session=True,
        )

    def wait(self) -> Ended:
        process = self._process
        try:
            process.communicate(self._job.to_line(), timeout=self._job.seconds)
        except subprocess.TimeoutExpired:
            kill(process)
            return Ended(process.returncode, timed_out=self._job.seconds)
        except BaseException:
            kill(process)
            raise
        return Ended(process.returncode, stopped=self._stopped)

    def stop(self) -> None:
        self._stopped = True
        kill(self._process)


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


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its group, and wait until it is gone."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _said(path: str) -> str:
    """What the warm parent at a socket wrote last."""
    return last_lines(Path(path).with_name("log")) or "it said nothing"
