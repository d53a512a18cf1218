"""Processes: warm parents compute nothing, reloaders know no family, and one bad run does not stop the others."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness.launch import Job, Launcher, last_lines
from harness.launch.parents import FRESH, WarmParent
from harness.launch.warm import assert_single_threaded
from harness.recipe import Recipe
from harness.running.session import Session, Sockets, WarmParents
from harness.running.workers import worker_modules

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


def modules_of(socket: str, output: Path) -> set[str]:
    """What is imported in a child of the parent at this socket."""
    code = "import json, sys; print(json.dumps(sorted(sys.modules)))"
    assert Launcher(socket).run(Job("builtins:exec", code, str(output))).code == 0  # type: ignore[arg-type]
    return set(json.loads(output.read_text()))


def test_the_reloader_has_imported_nothing_of_the_families(warm, tmp_path: Path) -> None:
    """Though it was forked off the makers' parent."""
    makers, reloaders = (modules_of(one, tmp_path / "modules") for one in (warm.makers, warm.reloaders))
    ours = {name for name in reloaders if name.startswith("harness.")}

    assert {"harness.making.run", "harness.families"} <= makers
    assert "harness.reloading" in ours
    assert not {name for name in ours if name.split(".")[1] in ("families", "tuning", "saving", "engines", "making")}


def test_each_of_two_parents_has_a_cache_of_its_own_for_code(warm, tmp_path: Path) -> None:
    code = (
        "import os, transformers.dynamic_module_utils as used\n"
        "assert used.HF_MODULES_CACHE == os.environ['HF_MODULES_CACHE']\n"
        "print(used.HF_MODULES_CACHE)"
    )
    for socket_ in (warm.makers, warm.reloaders):
        output = tmp_path / "cache"
        assert Launcher(socket_).run(Job("builtins:exec", code, str(output))).code == 0, output.read_text()  # type: ignore[arg-type]
        assert Path(output.read_text().strip()) == Path(socket_).parent / "modules"


def test_two_parents_end_together(tmp_path: Path) -> None:
    parent = WarmParent("two", ["json"], beside=["json", "csv"])
    code = "import os; print(os.getppid())"
    pids = []
    for number, path in enumerate((parent.socket, parent.socket_beside)):
        output = tmp_path / str(number)
        assert Launcher(path).run(Job("builtins:exec", code, str(output))).code == 0  # type: ignore[arg-type]
        pids.append(int(output.read_text()))
    assert len(set(pids)) == 2

    parent.stop()

    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


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
    from harness.faults import FAULTS
    from harness.running.fault_table import fault_row

    row = fault_row(FAULTS[fault], "bad", RECIPE, warm, tmp_path, bases)
    completed = next(result for result in row.results if result.check == "run.completed")
    good = Session(warm, tmp_path / "good", bases=bases).results("good", RECIPE, ["run.completed", "losses_finite"])

    assert completed.status.value == "failed"
    assert seen in completed.findings[0].seen
    assert completed.findings[0].where == "stage train, after 1 optimizer step"
    assert {result.status.value for result in good.values()} == {"passed"}


HEAD = "Traceback (most recent call last):"
FRAME = '  File "x.py", line 1, in f'


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], ""),
        (["one", "two", "  indented", "three", "", "four"], "two / three / four"),
        (["loading", HEAD, FRAME, "    f()", "OSError: no room"], "OSError: no room"),
        (
            [HEAD, FRAME, "KeyError: 1", "", "During handling of it:", HEAD, FRAME, "OSError: no room"],
            "OSError: no room",
        ),
        ([HEAD, FRAME, "ValueError: first", "second", "third", "and so on"], "ValueError: first / second / third"),
        ([HEAD, FRAME], ""),
    ],
    ids=["nothing", "words", "error", "chain", "error_of_many_lines", "cut_off"],
)
def test_what_a_process_said_last_is_its_error_and_not_how_it_came_to_it(lines, said, tmp_path: Path) -> None:
    (tmp_path / "output.txt").write_text("\n".join(lines))

    assert last_lines(tmp_path / "output.txt") == said
    assert last_lines(tmp_path / "nowhere.txt") == ""


def test_a_warm_parent_that_cannot_start_is_quoted_by_its_error(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(f"{HEAD}\n{FRAME}\nImportError: no torch\n")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "jobs"))  # and nobody listens

    with pytest.raises(RuntimeError, match=r"cannot be reached: ImportError: no torch$"):
        Launcher(str(tmp_path / "jobs")).run(Job("os:getcwd", {}, str(tmp_path / "output.txt")))


def test_a_client_that_hangs_up_takes_its_job_along(job_parent, tmp_path: Path) -> None:
    import os
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


def test_the_hash_seed_is_fixed_and_another_where_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.launch.parents import HASH_SEED, job_environment

    monkeypatch.setenv("PYTHONHASHSEED", "7")
    monkeypatch.delenv(HASH_SEED, raising=False)
    assert job_environment()["PYTHONHASHSEED"] == "0"

    monkeypatch.setenv(HASH_SEED, "3")
    assert job_environment()["PYTHONHASHSEED"] == "3"
