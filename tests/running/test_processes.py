"""Processes: warm parents compute nothing, reloaders know no family, and one bad run does not stop the others."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness.launch import Job, Launcher
from harness.launch.parents import FRESH
from harness.launch.warm import assert_single_threaded
from harness.recipe import Recipe
from harness.runner import worker_modules
from harness.session import Session, Sockets, WarmParents

RECIPE = Recipe(family="llava-1.5-7b", tune=["connector"], steps=2)


def test_a_parent_with_a_second_thread_refuses_to_fork() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        with pytest.raises(RuntimeError, match="threads"):
            assert_single_threaded()
    finally:
        stop.set()
        thread.join()


def test_the_reloader_has_imported_nothing_of_the_families(warm, tmp_path: Path) -> None:
    listing = "import json,sys; json.dump(sorted(sys.modules), open(sys.argv[1], 'w'))"
    _, reloaders = worker_modules(["llava-1.5-7b"])
    code = f"import importlib\nfor name in {reloaders!r}: importlib.import_module(name)\n{listing}"

    subprocess.run([sys.executable, "-c", code, str(tmp_path / "modules.json")], check=True)

    modules = json.loads((tmp_path / "modules.json").read_text())
    ours = {name for name in modules if name.startswith("harness.")}
    assert "harness.reloading" in ours
    assert not {name for name in ours if name.split(".")[1] in ("families", "tuning", "saving", "engines", "making")}


def test_importing_everything_a_parent_imports_starts_no_thread() -> None:
    makers, reloaders = worker_modules(["llava-1.5-7b"])
    code = (
        "import importlib, os\n"
        f"for name in {sorted({*makers, *reloaders})!r}: importlib.import_module(name)\n"
        "from harness.launch.warm import assert_single_threaded\n"
        "assert_single_threaded()"
    )
    from harness.launch.parents import job_environment

    subprocess.run([sys.executable, "-c", code], check=True, env=job_environment())


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("raise_in_training", "RuntimeError: an exception put there on purpose"),
        ("killed_in_training", "killed by SIGKILL"),
        ("hang_in_training", "killed after its limit of 3 s"),
        ("memory_runs_out", "allocate memory"),
    ],
)
def test_a_run_that_ends_badly_is_that_recipes_result_and_the_next_one_passes(
    fault, seen, warm, bases, tmp_path: Path
) -> None:
    from harness.fault_table import fault_row
    from harness.faults import FAULTS

    row = fault_row(FAULTS[fault], "bad", RECIPE, warm, tmp_path, bases)
    completed = next(result for result in row.results if result.check == "run.completed")
    good = Session(warm, tmp_path / "good", bases=bases).results("good", RECIPE, ["run.completed", "losses_finite"])

    assert completed.status.value == "failed"
    assert seen in completed.findings[0].seen
    assert completed.findings[0].where == "stage train, after 1 optimizer steps"
    assert {result.status.value for result in good.values()} == {"passed"}


def test_a_client_that_hangs_up_takes_its_job_along(job_parent, tmp_path: Path) -> None:
    import os
    import socket
    import time

    connection = socket.socket(socket.AF_UNIX)
    Launcher(job_parent.socket).run(Job("os:getcwd", {}, str(tmp_path / "warm.txt")))  # wait until it serves
    connection.connect(job_parent.socket)
    connection.sendall(Job("time:sleep", 60, str(tmp_path / "sleep.txt")).to_line())  # type: ignore[arg-type]
    with connection.makefile("rb") as answers:
        pid = json.loads(answers.readline())["pid"]
    connection.close()

    until = time.monotonic() + 20
    while time.monotonic() < until and Path(f"/proc/{pid}").exists():
        time.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_without_fork_each_job_gets_a_fresh_interpreter(monkeypatch, bases, tmp_path: Path) -> None:
    monkeypatch.setenv(FRESH, "1")
    parents = WarmParents(["llava-1.5-7b"])

    results = Session(parents.sockets, tmp_path, bases=bases).results("fresh", RECIPE, ["frozen_parameters_unchanged"])

    assert parents.sockets == Sockets(None, None)
    assert results["frozen_parameters_unchanged"].status.value == "passed"
    header = json.loads((tmp_path / "runs" / "fresh" / "trace" / "header.json").read_text())
    assert header["process"] == "fresh interpreter"
