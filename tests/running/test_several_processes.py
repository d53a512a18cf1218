"""Several processes are one run: they end together, whoever starts them, and nobody is left behind."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.checks import CHECKS
from harness.comparator import Verdict, compare
from harness.faults import FAULTS
from harness.launch import Job, Launcher, run_together
from harness.recipe import Recipe, read_suite
from harness.result import Status
from harness.running.fault_table import fault_row
from harness.running.session import Session

ROOT = Path(__file__).parents[2]
RECIPE = Recipe.model_validate(
    {"family": "llava-1.5-7b", "tune": ["connector", "llm"], "steps": 2, "processes": 2, "data": {"batch_size": 1}}
)
COMPLETED = ["run.completed"]


def by(launch: Any, **changes: Any) -> Recipe:
    return Recipe.model_validate({**RECIPE.model_dump(exclude_defaults=True), "launch": launch, **changes})


def workers_of(name: str) -> set[int]:
    """The processes of this machine whose command line has the name: a socket's, or of a folder of runs."""
    found = set()
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if name.encode() in place.read_bytes():
                found.add(int(place.parent.name))
    return found


def children(socket_of_parent: str) -> set[int]:
    """The forks of the warm parent that listens at a socket."""
    forks = workers_of(socket_of_parent)
    return {pid for pid in forks if int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]) in forks}


def all_gone(before: set[int], now: Any) -> bool:
    until = time.monotonic() + 10
    while now() - before and time.monotonic() < until:
        time.sleep(0.05)
    return not now() - before


@pytest.mark.parametrize(
    ("fault", "first", "second"),
    [
        ("one_process_killed", "Connection", "killed by SIGKILL"),
        ("one_process_never_arrives", "timeout", "stopped, for another process of the run had failed"),
        ("unused_parameters_waited_for", "", ""),
    ],
)
def test_when_one_fails_the_others_say_so_and_none_is_left(
    fault: str, first: str, second: str, warm: Any, bases: Path, tmp_path: Path
) -> None:
    recipe = read_suite(ROOT / "suites" / "processes.yaml").recipes["connector+llm"]
    before = children(warm.makers)

    row = fault_row(FAULTS[fault], "processes/connector+llm", recipe, warm, tmp_path, bases)

    (completed,) = [result for result in row.results if result.check == "run.completed"]
    assert row.caught
    assert [part in found.seen for part, found in zip((first, second), completed.findings, strict=True)] == [True] * 2
    assert any("exchanges" in found.cause for found in completed.findings)
    assert all_gone(before, lambda: children(warm.makers))


def test_torchrun_makes_the_same_run_as_forks(make: Any) -> None:
    forked, commanded = make(RECIPE, folder="forked"), make(by("torchrun"), folder="commanded")

    found = compare(forked, commanded, may_differ=["launch"])

    assert found.verdict is Verdict.EQUAL, found.first
    assert len(commanded.ranks) == 2
    assert commanded.header["process"] == "started by torchrun"


def test_a_port_that_is_taken_is_said(warm: Any, bases: Path, tmp_path: Path) -> None:
    with taken_port() as port:
        results = Session(warm, tmp_path, bases=bases).results("taken", by({"by": "torchrun", "port": port}), COMPLETED)

    (finding,) = results["run.completed"].findings
    assert "EADDRINUSE" in finding.seen
    assert (finding.cause, finding.do) == (
        "somebody else listens at the port where the processes meet",
        "name another port, or none",
    )
    assert not workers_of(str(tmp_path))


@contextlib.contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_a_command_that_starts_fewer_than_asked_is_a_finding(warm: Any, bases: Path, tmp_path: Path) -> None:
    """Accelerate's launcher on a CPU starts one process, whatever it is asked for, and says nothing."""
    asked = [check.name for check in CHECKS if check.name in ("run.completed", "processes_as_asked")]

    results = Session(warm, tmp_path, bases=bases).results("fewer", by("accelerate"), asked)

    assert results["run.completed"].status is Status.PASSED
    assert [(found.kind, found.seen) for found in results["processes_as_asked"].findings] == [
        ("OtherWorld", "1 process"),
        ("OtherWorld", "no process group was made"),
    ]


def test_a_command_that_takes_too_long_is_ended_with_all_it_started(warm: Any, bases: Path, tmp_path: Path) -> None:
    recipe = by("torchrun", limits={"seconds": 3}, steps=100_000)

    results = Session(warm, tmp_path, bases=bases).results("long", recipe, COMPLETED)

    assert any("killed after its limit of 3 s" in found.seen for found in results["run.completed"].findings)
    assert all_gone(set(), lambda: workers_of(str(tmp_path)))


@pytest.mark.parametrize("forked", [True, False])
def test_those_left_when_one_fails_are_stopped(forked: bool, job_parent: Any, tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(Path(__file__).parent)}
    launcher = Launcher(job_parent.socket if forked else None, environment)
    jobs = [Job("jobs:ends", {"after": after}, str(tmp_path / f"{after}.txt")) for after in (0, 3600)]

    ended = run_together(launcher, jobs, grace=0.5)

    assert [one.description for one in ended] == [
        "exited with status 1",
        "stopped, for another process of the run had failed",
    ]


def test_those_that_end_well_are_waited_for(job_parent: Any, tmp_path: Path) -> None:
    jobs = [Job("time:sleep", 0.2 * place, str(tmp_path / f"{place}.txt")) for place in (1, 2)]  # type: ignore[arg-type]

    assert [one.code for one in run_together(Launcher(job_parent.socket), jobs, grace=0)] == [0, 0]
