"""Commands that are waited for in threads, and ended together when whoever waits is interrupted."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import TypeVar

Made = TypeVar("Made")


SECONDS_TO_END = 15.0  # which what is interrupted has for ending what it has started


class Stopped(Exception):
    """A command that was not begun, or not waited for, because everything is to end."""


class Processes:
    """The commands under way. Once stopped, none is begun any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def run(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, in a group of its own. Raises Stopped when everything is to end."""
        with self._lock:
            if self._stopped:
                raise Stopped
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
            self._running.add(process)
        try:
            out, said = process.communicate()
        finally:
            with self._lock:
                self._running.discard(process)
        if self._stopped:
            raise Stopped
        return subprocess.CompletedProcess(command, process.returncode, out, said)

    def stop(self) -> None:
        """End all that is under way, and begin nothing more: interrupted, so that each ends what it has started."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            with contextlib.suppress(OSError):
                process.send_signal(signal.SIGINT)
        until = time.monotonic() + SECONDS_TO_END
        while any(process.poll() is None for process in running) and time.monotonic() < until:
            time.sleep(0.02)
        for process in running:
            if process.poll() is None:
                _kill(process)


def in_parallel(jobs: Iterable[Callable[[], Made]], workers: int, stop: Callable[[], None]) -> Iterator[Made]:
    """What each job gives, as it is done. When one raises, or whoever waits is interrupted, the others are stopped."""
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        futures: list[Future[Made]] = [pool.submit(job) for job in jobs]
        try:
            for done in as_completed(futures):
                yield done.result()
        except BaseException:
            for future in futures:
                future.cancel()
            stop()
            raise


def _kill(process: subprocess.Popen[str]) -> None:
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        process.kill()
