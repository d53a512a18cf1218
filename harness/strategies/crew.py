"""Batches of a search, each in a process of its own, forked from one that has imported everything: whatever a batch
takes of memory is given back with it."""

from __future__ import annotations

import multiprocessing
import resource
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

Task = TypeVar("Task")
Done = TypeVar("Done")


@dataclass(frozen=True)
class Worked(Generic[Done]):
    """What a task gave, and the most memory that its process took, in MiB."""

    done: Done
    peak_mib: float


class WorkerLost(Exception):
    """A worker process ended without a word."""


@dataclass
class Crew(Generic[Task, Done]):
    """So many processes at a time. `work` is what each does with its task."""

    size: int
    work: Callable[[Task], Done]
    _under_way: dict[Connection, Any] = field(default_factory=dict)

    def results(self, tasks: Iterator[Task]) -> Iterator[Worked[Done]]:
        """What the tasks give, as they end: the next one is taken from `tasks` once a process is free."""
        try:
            while self._filled(tasks):
                for end in wait(list(self._under_way)):
                    assert isinstance(end, Connection)
                    yield self._received(end)
        finally:
            for process in self._under_way.values():
                process.terminate()

    def _filled(self, tasks: Iterator[Task]) -> bool:
        """Begin tasks until as many are under way as may be; whether any is."""
        while len(self._under_way) < self.size:
            try:
                task = next(tasks)
            except StopIteration:
                break
            receiving, sending = _CONTEXT.Pipe(duplex=False)
            process = _CONTEXT.Process(target=_report, args=(sending, self.work, task))
            process.start()
            sending.close()
            self._under_way[receiving] = process
        return bool(self._under_way)

    def _received(self, end: Connection) -> Worked[Done]:
        process = self._under_way.pop(end)
        try:
            worked: Worked[Done] | BaseException = end.recv()
        except EOFError:
            process.join()
            raise WorkerLost(f"a worker ended with status {process.exitcode} and said nothing") from None
        process.join()
        end.close()
        if isinstance(worked, BaseException):
            raise worked
        return worked


_CONTEXT: Any = multiprocessing.get_context("fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn")


def _report(end: Connection, work: Callable[[Task], Done], task: Task) -> None:
    try:
        end.send(Worked(work(task), peak_mib()))
    except BaseException as error:
        end.send(error)


def peak_mib() -> float:
    """The most memory that this process has had resident."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024**2 if sys.platform == "darwin" else peak / 1024
