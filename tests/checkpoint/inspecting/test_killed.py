"""Whenever a repair or a composition is killed, the original is whole, and the copy is whole or not there."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.checkpoint.composing import compose
from harness.checkpoint.repair import repaired_copy, repaired_in_place
from tests.checkpoint.directories import with_code
from tests.checkpoint.inspecting.conftest import Whole

KILLS, MORE_KILLS = 60, 25
LOST = ("preprocessor_config.json", "processing_demo.py", "image_processing_demo.py", "resampler.py")


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    directory = with_code(tmp_path / "base")
    (directory / "large.bin").write_bytes(os.urandom(3_000_000))
    return directory


@pytest.fixture
def saved(base: Path) -> Path:
    directory = Path(shutil.copytree(base, base.with_name("saved")))
    for name in LOST:
        (directory / name).unlink()
    return directory


def in_a_process(action: Callable[[], object], told: int | None = None) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        if told is not None:
            os.write(told, b"x")
        action()
        status = 0
    finally:
        os._exit(status)


def stop_at(number: int) -> None:
    """End this process, as a kill does, just before its so-many-th step in the file system."""
    left = [number]

    def hook(event: str, arguments: Any) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir"):
            left[0] -= 1
            if left[0] < 0:
                os._exit(9)

    sys.addaudithook(hook)


def looks_whole(place: Path) -> bool:
    return (place / "config.json").exists()


def is_as_promised(place: Path, wanted: dict[str, bytes]) -> None:
    """The copy is whole or not there; what was left beside it looks like no checkpoint, or is all there."""
    if place.exists():
        assert contents(place) == wanted
    for left in place.parent.glob(f".{place.name}.*"):
        assert not looks_whole(left) or contents(left) == wanted


def test_stopped_before_each_step_of_a_repair(saved: Path, base: Path) -> None:
    before, wanted = contents(saved), contents(base)
    out, outcomes = saved.with_name("out"), []
    for number in range(200):

        def action(number: int = number) -> None:
            stop_at(number)
            repaired_copy(saved, base, out)

        _, status = os.waitpid(in_a_process(action), 0)
        assert contents(saved) == before
        is_as_promised(out, wanted)
        outcomes.append(out.exists())
        if os.waitstatus_to_exitcode(status) == 0:
            break
        shutil.rmtree(out, ignore_errors=True)
    assert len(outcomes) > 15
    assert (outcomes[0], outcomes[-1]) == (False, True)
    assert not list(out.parent.glob(".out.*")), "what killed ones have left is taken away by the next"


def killed_at_random(action: Callable[[], object], check: Callable[[], bool], kills: int = MORE_KILLS) -> list[bool]:
    """Kill an action at random moments of the time that it takes; what was there afterwards."""
    started = time.perf_counter()
    os.waitpid(in_a_process(action), 0)
    took = time.perf_counter() - started
    assert check()
    chance, outcomes = random.Random(7), []
    for _ in range(kills):
        reading, writing = os.pipe()
        pid = in_a_process(action, writing)
        os.read(reading, 1)
        time.sleep(chance.uniform(0, took))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reading)
        os.close(writing)
        outcomes.append(check())
    return outcomes


def test_killed_at_random_while_a_copy_is_completed(saved: Path, base: Path) -> None:
    before, wanted, out = contents(saved), contents(base), saved.with_name("out")

    def check() -> bool:
        assert contents(saved) == before
        is_as_promised(out, wanted)
        done = out.exists()
        shutil.rmtree(out, ignore_errors=True)
        return done

    outcomes = killed_at_random(lambda: repaired_copy(saved, base, out), check, KILLS)
    assert False in outcomes


def test_killed_at_random_while_the_directory_itself_is_completed(saved: Path, base: Path) -> None:
    """Each file that is added is whole or not there, and none of what was there is touched."""
    before, wanted = contents(saved), contents(base)

    def check() -> bool:
        now = contents(saved)
        there = {name: data for name, data in now.items() if not Path(name).name.startswith(".")}
        assert {name: there[name] for name in before} == before
        assert all(wanted[name] == data for name, data in there.items())
        for name in now.keys() - before.keys():
            (saved / name).unlink()
        return there == wanted

    outcomes = killed_at_random(lambda: repaired_in_place(saved, base), check)
    assert len(outcomes) == MORE_KILLS


def test_killed_at_random_while_a_tower_is_laid_over(whole: Whole, tmp_path: Path) -> None:
    base = whole.base("minicpm")
    tuned = Path(shutil.copytree(base, tmp_path / "tuned"))
    before, out = contents(base), tmp_path / "out"
    compose(base, tuned, "vision", tmp_path / "wanted")
    wanted = contents(tmp_path / "wanted")

    def check() -> bool:
        assert contents(base) == before
        is_as_promised(out, wanted)
        done = out.exists()
        shutil.rmtree(out, ignore_errors=True)
        return done

    outcomes = killed_at_random(lambda: compose(base, tuned, "vision", out), check)
    assert False in outcomes
