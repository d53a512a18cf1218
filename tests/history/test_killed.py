"""Whenever a process that keeps a run is killed, the runs of before are whole, and its own is whole or not there."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from harness.history.store import History
from tests.history.conftest import past_run

KILLS = 60
RECIPES = 150

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forks")


def adding_for_ever(file: Path) -> int:
    """Fork a process that keeps run after run; its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        while True:
            with History(file) as kept:
                kept.add(past_run(of=RECIPES), "1.0")
    finally:
        os._exit(1)


def test_killed_at_any_moment(tmp_path: Path) -> None:
    file = tmp_path / "history.sqlite"
    started = time.perf_counter()
    with History(file) as kept:
        kept.add(past_run(of=RECIPES), "1.0")
    chance, counts, one = random.Random(0), [1], time.perf_counter() - started
    for _ in range(KILLS):
        pid = adding_for_ever(file)
        time.sleep(chance.uniform(0.0, 4 * one))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        with History(file) as kept:
            assert kept.aside == ""
            counts.append(kept.count())
            assert counts[-1] >= counts[-2]
            assert all(len(run.recipes) == RECIPES for run in kept.runs(2))
    assert counts[-1] > 1, "some were kept whole"
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".{file.name}.lock", file.name]
