"""Ctrl-C in the middle of a run: what was finished is kept, nothing stays behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.checks import CHECKS

RECIPES = 8
SUITE = "family: llava-1.5-7b\ndefaults: {steps: 2}\nrecipes:\n" + "".join(
    f"  r{number}: {{tune: [connector], seed: {number}}}\n" for number in range(RECIPES)
)
FINISHED = re.compile(r"many/(r\d)    (\d+) checks: ")
GONE_WITHIN_S = 10

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc and signals")


def processes_marked(mark: str) -> list[int]:
    """Every living process with the mark in its environment: all that descend from the one that was given it."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in environment.read_bytes():
                found.append(int(environment.parent.name))
        except OSError:
            continue
    return found


def gone(mark: str) -> bool:
    until = time.monotonic() + GONE_WITHIN_S
    while time.monotonic() < until and processes_marked(mark):
        time.sleep(0.1)
    return not processes_marked(mark)


def heed_interrupts() -> None:
    """Where the tests themselves run in a shell's background, what they start would ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Ended:
    """`harness run` on eight recipes that did not come to its end: what it said and what it left."""

    def __init__(self, process: subprocess.Popen[str], before: str, mark: str, out: Path) -> None:
        after, self.err = process.communicate(timeout=60)
        self.out = before + after
        self.status = process.returncode
        self.mark = mark
        self.place = out
        self.gone = gone(mark)
        self.printed = {recipe: int(count) for recipe, count in FINISHED.findall(self.out)}
        text = (out / "results.jsonl").read_text()
        self.whole_lines = text.endswith("\n")
        self.results = [json.loads(line) for line in text.splitlines()]
        # A recipe may have ended just before the interruption, and only its line have been cut off.
        self.finished = Counter(result["recipe"].removeprefix("many/") for result in self.results)
        self.files = {path.name for path in out.iterdir()}


@pytest.fixture(scope="module")
def run_until_first_recipe(script, environment, tmp_path_factory) -> Callable[..., Ended]:
    """Start a run with worker processes of its own, and end it as soon as its first recipe is printed."""

    def run(*options: str, end: Callable[[int], None], **variables: str) -> Ended:
        folder = tmp_path_factory.mktemp("interrupted")
        (folder / "many.yaml").write_text(SUITE)
        mark = f"marked-{uuid.uuid4()}"
        with subprocess.Popen(
            [script, "run", "many.yaml", "--out", "out", *options],
            cwd=folder,
            env={**environment, **variables, "MARK": mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=heed_interrupts,  # noqa: PLW1509 - one system call, and no thread of ours
        ) as process:
            try:
                assert process.stdout is not None
                lines = [process.stdout.readline()]
                while lines[-1] and not FINISHED.match(lines[-1]):
                    lines.append(process.stdout.readline())
                end(process.pid)
                return Ended(process, "".join(lines), mark, folder / "out")
            finally:
                process.kill()

    return run


def to_the_process(pid: int) -> None:
    os.kill(pid, signal.SIGINT)


def to_its_group(pid: int) -> None:
    """As a terminal does."""
    os.killpg(pid, signal.SIGINT)


@pytest.fixture(
    scope="module",
    params=[((), to_the_process), (("-n", "2"), to_the_process), (("-n", "2"), to_its_group)],
    ids=["alone", "two_workers", "two_workers_at_a_terminal"],
)
def interrupted(request, run_until_first_recipe) -> Ended:
    options, send = request.param
    return run_until_first_recipe(*options, end=send)


def test_an_interrupted_run_ends_with_130_and_without_a_traceback(interrupted) -> None:
    assert interrupted.status == 130, interrupted.out + interrupted.err
    assert "Traceback" not in interrupted.out + interrupted.err


def test_it_was_interrupted_in_the_middle(interrupted) -> None:
    assert 1 <= len(interrupted.finished) < RECIPES


def test_no_process_of_an_interrupted_run_stays_behind(interrupted) -> None:
    assert interrupted.gone, [Path(f"/proc/{pid}/cmdline").read_text() for pid in processes_marked(interrupted.mark)]


def test_the_results_of_an_interrupted_run_are_whole_sorted_and_hold_every_finished_recipe(interrupted) -> None:
    order = [(result["recipe"], result["check"]) for result in interrupted.results]

    assert interrupted.whole_lines
    assert order == sorted(set(order))
    assert interrupted.printed.items() <= interrupted.finished.items()


def test_an_interrupted_run_still_reports_what_it_has(interrupted) -> None:
    assert {"report.md", "report.html"} <= interrupted.files
    assert not [name for name in interrupted.files if name.endswith(".tmp")]


def test_an_interrupted_run_says_that_it_was_interrupted(interrupted) -> None:
    *_, verdict, report = interrupted.out.splitlines()
    not_run = RECIPES - len(interrupted.finished)

    assert verdict.startswith(f"Interrupted, {not_run} of {RECIPES} recipes not run. All ")
    assert verdict.endswith(".")
    assert report.startswith("Report: ")


def test_no_part_of_an_unfinished_recipe_is_kept(interrupted) -> None:
    assert set(interrupted.finished.values()) == {len(list(CHECKS))}


def test_the_reports_of_an_interrupted_run_say_so_too_and_so_do_those_written_again(
    interrupted, call, tmp_path
) -> None:
    said = "Interrupted, "
    before = {name: (interrupted.place / name).read_text() for name in ("report.md", "report.html", "junit.xml")}

    ran = call("report", interrupted.place / "results.jsonl", "--out", tmp_path)

    assert (ran.status, said in ran.out) == (1, True)
    assert said in before["report.md"]
    assert said in before["report.html"]
    assert before["junit.xml"].count('message="not run: interrupted"') == RECIPES - len(interrupted.finished)
    assert {name: (tmp_path / name).read_text() for name in before} == before


@pytest.fixture(scope="module")
def killed(run_until_first_recipe) -> Ended:
    """The same run, killed by a plugin in it, at the same moment to the line."""
    return run_until_first_recipe(end=lambda pid: None, PYTEST_PLUGINS="dies")


def test_a_run_that_is_killed_takes_its_workers_along(killed) -> None:
    assert killed.status == -signal.SIGKILL
    assert list(killed.printed) == ["r0"]
    assert killed.gone, [Path(f"/proc/{pid}/cmdline").read_text() for pid in processes_marked(killed.mark)]


def test_what_a_killed_run_has_printed_it_has_also_written(killed) -> None:
    assert len(killed.results) >= killed.printed["r0"]


def test_the_results_hold_no_part_of_a_recipe_that_was_not_finished(train, tmp_path) -> None:
    (tmp_path / "many.yaml").write_text(SUITE)

    ran = train(
        "run",
        "many.yaml",
        "--out",
        tmp_path / "out",
        folder=tmp_path,
        plugins=("interrupts",),
        INTERRUPT_AT=str(len(list(CHECKS)) + 8),
    )

    results = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert ran.status == 130, ran
    assert {result["recipe"] for result in results} == {"many/r0"}


def test_a_recipe_that_was_kept_is_also_shown(train, tmp_path) -> None:
    (tmp_path / "many.yaml").write_text(SUITE)

    ran = train("run", "many.yaml", "--out", tmp_path / "out", folder=tmp_path, plugins=("interrupts_before_showing",))

    assert ran.status == 130, ran
    assert [recipe for recipe, _ in FINISHED.findall(ran.out)] == ["r0"]
    assert {json.loads(line)["recipe"] for line in (tmp_path / "out" / "results.jsonl").open()} == {"many/r0"}


@pytest.mark.parametrize(
    "earlier", [None, '{"recipe": "a/b", "check": "c", "status": "passed"}\n'], ids=["first_run", "another_run_before"]
)
def test_a_run_interrupted_before_it_began_ends_with_130_and_reports_nothing_of_before(
    earlier, run_harness, tmp_path
) -> None:
    (tmp_path / "many.yaml").write_text(SUITE)
    out = tmp_path / "out"
    if earlier:
        out.mkdir()
        (out / ".harness-out").touch()
        (out / "results.jsonl").write_text(earlier)

    moment = {"PYTEST_PLUGINS": "interrupts", "INTERRUPT_AT": "collection"}
    ran = run_harness("run", "many.yaml", "--out", out, folder=tmp_path, **moment)

    assert ran.status == 130, ran
    assert "1 check" not in ran.out
    assert f"Interrupted, {RECIPES} of {RECIPES} recipes not run. No check was run." in ran.out.splitlines()
    assert not (out / "results.jsonl").exists()


def test_the_mark_finds_descendants_that_have_left_the_session_and_lost_their_parent() -> None:
    mark = f"marked-{uuid.uuid4()}"
    code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'input()'], start_new_session=True)"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, env={"MARK": mark})
    process.wait()
    (orphan,) = processes_marked(mark)

    os.kill(orphan, signal.SIGKILL)

    assert orphan != process.pid
    assert gone(mark)
