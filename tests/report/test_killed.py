"""Whenever writing reports is killed, every file is the old one or the new one, whole."""

from __future__ import annotations

import itertools
import os
import random
import shutil
from pathlib import Path

from harness.report import AboutRun, write_reports
from harness.result import Finding, Result, Status
from harness.verdict import Baseline
from tests.golden.test_interrupted import forked, killed, stop_at

KILLS = 60
NAMES = ("comparison.md", "junit.xml", "report.html", "report.md")


def results(status: Status) -> tuple[Result, ...]:
    lost = Finding("kept", "lost", where="x" * 500)
    findings = (lost,) * 20 if status is Status.FAILED else ()
    return tuple(Result(f"m/{number}", "kept", status, "20 findings", findings) for number in range(4))


BEFORE = Baseline.of(results(Status.PASSED)).ended


def write(folder: Path, status: Status) -> None:
    write_reports(folder, results(status), AboutRun(before=BEFORE), [folder])


def state(folder: Path) -> tuple[bytes, ...]:
    return tuple((folder / name).read_bytes() for name in NAMES)


def test_stopped_before_each_step_in_the_file_system(tmp_path: Path) -> None:
    write(tmp_path / "old", Status.PASSED)
    write(tmp_path / "new", Status.FAILED)
    old, new = state(tmp_path / "old"), state(tmp_path / "new")
    assert all(one != other for one, other in zip(old, new, strict=True))
    seen = []
    for number in range(100):
        folder = Path(shutil.copytree(tmp_path / "old", tmp_path / f"at-{number}"))

        def again(folder: Path = folder, number: int = number) -> None:
            stop_at(number)
            write(folder, Status.FAILED)

        _, status = os.waitpid(forked(again), 0)
        seen.append(state(folder))
        assert all(now in pair for now, pair in zip(seen[-1], zip(old, new, strict=True), strict=True))
        write(folder, Status.FAILED)
        assert {path.name for path in folder.iterdir()} == set(NAMES), "the next one clears up"
        if os.waitstatus_to_exitcode(status) == 0:
            break
    assert (seen[0], seen[-1]) == (old, new)
    assert sum(before != after for before, after in itertools.pairwise(seen)) == len(NAMES), "one file after the other"


def test_killed_at_random(tmp_path: Path) -> None:
    write(tmp_path / "old", Status.PASSED)
    write(tmp_path / "new", Status.FAILED)
    old, new = state(tmp_path / "old"), state(tmp_path / "new")
    chance, outcomes = random.Random(22), []
    folder = tmp_path / "killed"
    took = 0.05
    for number in range(KILLS):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(tmp_path / "old", folder)
        killed(lambda: write(folder, Status.FAILED), lambda _, most=took: chance.uniform(0, most))
        outcomes.append(state(folder))
        assert all(now in pair for now, pair in zip(outcomes[-1], zip(old, new, strict=True), strict=True))
        if number < KILLS // 2 and outcomes[-1] == old:
            took *= 1.15  # until some are killed after the end
    assert old in outcomes, "killed before"
    assert new in outcomes, "killed after"
