"""The processes that make and load under other stacks, and ending all of them at once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from harness.launch import Ended, Job, Launcher, WarmParent, can_fork
from harness.launch.client import Running
from harness.running.workers import worker_modules
from harness.stacks import Layered, Processes
from harness.stacks.processes import Stopped

Kind = Literal["make", "reload"]


class Workplace:
    """Starts processes under stacks. Once stopped, none is left and none is begun any more."""

    def __init__(self, out: Path, families: list[str]) -> None:
        self.out = out
        self.families = families
        self.processes = Processes()
        self._lock = threading.Lock()
        self._stopped = False
        self._parents: set[WarmParent] = set()
        self._jobs: set[Running] = set()

    def folder_of(self, stack: str) -> Path:
        return self.out / "stacks" / stack

    @contextlib.contextmanager
    def launcher(self, stack: Layered, kind: Kind) -> Iterator[Launcher]:
        """Runs jobs under a stack: in children of a warm parent, or in fresh interpreters where there is no fork."""
        parent = self._parent(stack, kind)
        try:
            modules = self.folder_of(stack.name) / "modules" / kind
            environment = {**stack.environment, "HF_MODULES_CACHE": str(modules)}
            yield _Watched(parent.socket if parent else None, environment, self.under_way)
        finally:
            if parent is not None:
                with self._lock:
                    self._parents.discard(parent)
                parent.stop()

    def _parent(self, stack: Layered, kind: Kind) -> WarmParent | None:
        with self._lock:
            if self._stopped:
                raise Stopped
            if not can_fork():
                return None
            makers, reloaders = worker_modules(self.families)
            parent = WarmParent(kind, makers if kind == "make" else reloaders, stack.environment)
            self._parents.add(parent)
            return parent

    @contextlib.contextmanager
    def under_way(self, begin: Callable[[], Running]) -> Iterator[Running]:
        """A job, from its beginning to its end, where it can be stopped."""
        self.refuse_stopped()
        job = begin()  # may wait while a warm parent still imports
        with self._lock:
            self._jobs.add(job)
            if self._stopped:
                job.stop()
        try:
            yield job
        finally:
            with self._lock:
                self._jobs.discard(job)

    def stop(self) -> None:
        """End every job and begin none; whoever waits for one ends the warm parents."""
        with self._lock:
            self._stopped = True
            for job in self._jobs:
                job.stop()
        self.processes.stop()

    def refuse_stopped(self) -> None:
        if self._stopped:
            raise Stopped


class _Watched(Launcher):
    """A launcher whose jobs are known while they run."""

    def __init__(
        self,
        path: str | None,
        environment: dict[str, str],
        under_way: Callable[[Callable[[], Running]], contextlib.AbstractContextManager[Running]],
    ) -> None:
        super().__init__(path, environment)
        self._under_way = under_way

    def run(self, job: Job) -> Ended:
        with self._under_way(lambda: self.begin(job)) as running:
            return running.wait()
