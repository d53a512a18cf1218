"""Several processes of one run, one job each: all end by themselves, or none is left behind."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from queue import Empty, SimpleQueue

from harness.launch.client import Ended, Launcher, Running
from harness.launch.job import Job

GRACE_S = 5.0  # how long those left have after one has failed: most notice, and say so in their own words


def run_together(launcher: Launcher, jobs: Sequence[Job], grace: float = GRACE_S) -> list[Ended]:
    """Run the jobs at the same time, and give how each ended. Once one has failed the others are waited for only so
    many seconds, then stopped: a process that waits for one that is gone may wait for ever."""
    running: list[Running] = []
    ends: SimpleQueue[tuple[int, Ended | BaseException]] = SimpleQueue()

    def wait(place: int, one: Running) -> None:
        try:
            ends.put((place, one.wait()))
        except BaseException as error:
            ends.put((place, error))

    try:
        for place, job in enumerate(jobs):
            running.append(launcher.begin(job))
            threading.Thread(target=wait, args=(place, running[-1]), daemon=True).start()
        return _all_ended(running, ends, grace)
    except BaseException:
        _stop(running)
        raise


def _all_ended(
    running: Sequence[Running], ends: SimpleQueue[tuple[int, Ended | BaseException]], grace: float
) -> list[Ended]:
    ended: dict[int, Ended] = {}
    failed = False
    while len(ended) < len(running):
        try:
            place, how = ends.get(timeout=grace if failed else None)
        except Empty:
            _stop([one for place, one in enumerate(running) if place not in ended])
            failed = False  # those now end at once
            continue
        if isinstance(how, BaseException):
            raise how
        ended[place] = how
        failed = failed or how.code != 0
    return [ended[place] for place in range(len(running))]


def _stop(running: Sequence[Running]) -> None:
    for one in running:
        one.stop()
