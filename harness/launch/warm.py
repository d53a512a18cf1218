"""A warm parent: a process that has imported the libraries, computes nothing, and forks one child per job.

A child starts in milliseconds. The parent must never compute: one that has computed with two threads makes its forks
hang. It has one thread, and checks that before each fork. It serves several clients over a Unix socket, and ends when
the process that started it ends.

    python -m harness.launch.warm SOCKET MODULE... [--beside SOCKET MODULE...]

Two parents that import much alike are one process until they have imported what both want: the second is then forked
off, before either has any of the other's own modules.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.launch.job import Job, perform
from harness.launch.parents import BESIDE

LONGEST_WAIT_S = 60.0
LIFELINE = 0  # standard input: closed when whoever started this process is gone


@dataclass
class Child:
    """A forked worker, the client that waits for it, and when it will have run too long."""

    pid: int
    client: socket.socket
    deadline: float
    seconds: float
    timed_out: bool = False


class WarmParent:
    """Accepts jobs, forks children, says how they ended."""

    def __init__(self, path: str) -> None:
        self.children: dict[int, Child] = {}
        self.selector = selectors.DefaultSelector()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        self.selector.register(self.listener, selectors.EVENT_READ, "accept")
        self.selector.register(LIFELINE, selectors.EVENT_READ, "lifeline")
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        signal.set_wakeup_fd(self._wake_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.selector.register(self._wake_read, selectors.EVENT_READ, "child")

    def serve(self) -> None:
        while True:
            soonest = min((child.deadline for child in self.children.values()), default=float("inf"))
            wait = min(max(0.0, soonest - time.monotonic()), LONGEST_WAIT_S)
            for key, _ in self.selector.select(wait):
                if key.data == "accept":
                    self._accept()
                elif key.data == "child":
                    os.read(self._wake_read, 4096)
                elif key.data == "lifeline":
                    if not os.read(LIFELINE, 1):
                        return self._end()
                else:
                    self._client_gone(key.data)
            self._reap()
            self._enforce_deadlines()

    def _accept(self) -> None:
        client, _ = self.listener.accept()
        client.settimeout(10)
        with client.makefile("rb") as lines:
            line = lines.readline()
        if not line:
            client.close()
            return
        job = Job.from_line(line)
        assert_single_threaded()
        pid = os.fork()
        if pid == 0:
            self._become_child(job, client)
        self.children[pid] = Child(pid, client, time.monotonic() + job.seconds, job.seconds)
        self.selector.register(client, selectors.EVENT_READ, pid)
        _tell(client, {"pid": pid})

    def _become_child(self, job: Job, client: socket.socket) -> None:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        self.listener.close()
        client.close()
        self.selector.close()
        gc.unfreeze()
        os._exit(perform(job))

    def _reap(self) -> None:
        for child in list(self.children.values()):
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                ended: dict[str, float] = {"code": os.waitstatus_to_exitcode(status), "peak_kb": usage.ru_maxrss}
                if child.timed_out:
                    ended["timed_out"] = child.seconds
                _tell(child.client, ended)
                self._forget(child)

    def _enforce_deadlines(self) -> None:
        now = time.monotonic()
        for child in self.children.values():
            if now >= child.deadline:
                child.timed_out = True
                child.deadline = float("inf")
                kill_group(child.pid)

    def _client_gone(self, pid: int) -> None:
        """A client that hangs up (interrupted, say) wants its job no more."""
        if pid in self.children:
            kill_group(pid)
            self.selector.unregister(self.children[pid].client)

    def _forget(self, child: Child) -> None:
        del self.children[child.pid]
        with contextlib.suppress(KeyError):
            self.selector.unregister(child.client)
        child.client.close()

    def _end(self) -> None:
        for pid in self.children:
            kill_group(pid)


def assert_single_threaded() -> None:
    """Raise RuntimeError if this process has more than one thread: a fork would hang where it has computed."""
    tasks = Path("/proc/self/task")
    threads = len(list(tasks.iterdir())) if tasks.exists() else threading.active_count()
    if threads != 1:
        raise RuntimeError(f"the warm parent has {threads} threads: something it imported has started computing")


def kill_group(pid: int) -> None:
    """Kill a child and all it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _tell(client: socket.socket, message: Mapping[str, float]) -> None:
    with contextlib.suppress(OSError):
        client.sendall(json.dumps(message).encode() + b"\n")


def main(arguments: list[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started this
    at = arguments.index(BESIDE) if BESIDE in arguments else len(arguments)
    (path, *modules), second = arguments[:at], arguments[at + 1 :]
    if not second:
        return _serve(path, modules)
    _import([name for name in modules if name in second[1:]])
    assert_single_threaded()
    gc.freeze()
    if (pid := os.fork()) == 0:
        _serve(second[0], second[1:])
        os._exit(0)
    _serve(path, modules)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)  # it has the same lifeline
    return None


def _serve(path: str, modules: list[str]) -> None:
    _import(modules)
    _keep_modules_beside(path)
    gc.collect()
    gc.freeze()
    partial = f"{path}.binding"
    parent = WarmParent(partial)
    Path(partial).rename(path)
    parent.serve()


def _import(modules: list[str]) -> None:
    for name in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def _keep_modules_beside(path: str) -> None:
    """A cache of its own for remote code, so that no parent's child can load what only another's has fetched."""
    cache = str(Path(path).parent / "modules")
    os.environ["HF_MODULES_CACHE"] = cache
    if transformers := sys.modules.get("transformers.dynamic_module_utils"):
        transformers.HF_MODULES_CACHE = cache  # type: ignore[attr-defined]


if __name__ == "__main__":
    main(sys.argv[1:])
