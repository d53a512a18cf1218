"""A disk that is full, or fills: one line, exit status 2, and no file that is half there."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SUITE = """
family: llava-1.5-7b
defaults: {steps: 2}
recipes:
  first: {tune: [connector], save: {what: nothing}}
  second: {tune: [llm], save: {what: nothing}}
"""
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits")


def only_files_up_to(number: int) -> Callable[[], None]:
    """For a new process: no file of its own grows larger."""

    def limit() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (number, number))

    return limit


def assert_results_whole(out: Path) -> None:
    """Results are absent, or complete lines in order."""
    results = out / "results.jsonl"
    text = results.read_text() if results.is_file() else ""
    assert not text or text.endswith("\n")
    order = [(result["recipe"], result["check"]) for result in map(json.loads, text.splitlines())]
    assert order == sorted(set(order))


def assert_reports_whole(out: Path) -> None:
    """Reports are absent, or complete."""
    for name, end in (("report.html", "</html>\n"), ("report.md", "\n"), ("junit.xml", "</testsuites>\n")):
        report = out / name
        assert not report.exists() or report.read_text().endswith(end), name
    assert not list(out.glob(".*.tmp"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("disk")
    (place / "suite.yaml").write_text(SUITE)
    return place


@pytest.fixture(scope="module")
def on_a_disk_of(folder, train, tmp_path_factory) -> Callable[..., tuple[Any, Path]]:
    """Runs the suite on a new small disk, and hands back what was said and a copy of what was left."""

    def run(size: str, *options: str) -> tuple[Any, Path]:
        place, left = tmp_path_factory.mktemp("mounted"), tmp_path_factory.mktemp("left") / "out"
        mounting = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
        if not shutil.which("mount") or subprocess.run(mounting, capture_output=True, check=False).returncode:
            pytest.skip("mounting a small disk is not allowed here")
        try:
            ran = train("run", "suite.yaml", "--out", place / "out", *options, folder=folder)
            shutil.copytree(place / "out", left)
        finally:
            subprocess.run(["umount", "-l", str(place)], check=True)
        return ran, left

    return run


@pytest.fixture(scope="module")
def without_room_for_the_base(on_a_disk_of) -> tuple[Any, Path]:
    return on_a_disk_of("512k", "-k", "losses_finite")


@pytest.fixture(scope="module")
def without_room_for_all_results(train, folder) -> tuple[Any, Path]:
    ran = train("run", "suite.yaml", "--out", "filling", folder=folder, before=only_files_up_to(3000))
    return ran, folder / "filling"


def test_a_disk_that_is_full_from_the_start_is_one_line(run_harness, folder) -> None:
    ran = run_harness("run", "suite.yaml", "--out", "out", folder=folder, before=only_files_up_to(0))

    assert "cannot write: File too large; free space or choose another --out" in ran.refusal
    assert {path.name for path in (folder / "out").iterdir()} <= {".harness-out"}


def test_results_that_cannot_be_written_are_one_line(train, folder) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    out = folder / "full"

    ran = train("run", "suite.yaml", "--out", "full", "-k", "losses_finite", folder=folder, plugins=("full_results",))

    assert "results.jsonl: cannot be written: No space left on device" in ran.refusal
    assert not (out / "report.md").exists()
    assert_reports_whole(out)


def test_a_disk_that_fills_while_results_arrive_is_one_line(without_room_for_all_results) -> None:
    ran, _ = without_room_for_all_results

    assert "results.jsonl: cannot be written" in ran.refusal


def test_a_disk_that_fills_while_results_arrive_leaves_no_half_line(without_room_for_all_results) -> None:
    _, out = without_room_for_all_results

    assert_results_whole(out)


def test_a_disk_that_fills_while_results_arrive_leaves_no_half_report(without_room_for_all_results) -> None:
    _, out = without_room_for_all_results

    assert_reports_whole(out)


def test_a_disk_too_small_for_the_base_directory_is_refused_and_nothing_half_is_left(without_room_for_the_base) -> None:
    ran, out = without_room_for_the_base

    assert ran.status == 2
    assert ran.err.count("\n") == 1
    assert ran.err.startswith("harness: the base of llava-1.5-7b could not be written")
    assert "No space left on device" in ran.err
    assert not [path for path in (out / "bases").iterdir() if path.is_dir()]
    assert_results_whole(out)
    assert_reports_whole(out)


def test_the_line_about_the_base_quotes_the_error_and_not_the_head_of_a_traceback(without_room_for_the_base) -> None:
    assert "Traceback" not in without_room_for_the_base[0].err


def test_a_run_that_cannot_be_made_prints_nothing_but_why(without_room_for_the_base) -> None:
    assert without_room_for_the_base[0].out.strip() == ""


def test_a_disk_that_fills_during_a_run_is_one_line(on_a_disk_of) -> None:
    ran, _ = on_a_disk_of("6m")

    assert "No space left on device" in ran.refusal


def test_a_tiny_directory_that_does_not_fit_is_one_line_and_is_not_there(call, tmp_path, monkeypatch) -> None:
    def full(family: object, directory: Path) -> None:
        (directory / "config.json").write_text("{}")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(directory / "model.safetensors"))

    monkeypatch.setattr("harness.families.llava.Llava.write_base", full)

    assert "No space left on device" in call("tiny", "llava-1.5-7b", tmp_path / "new").refusal
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_does_not_fit_leaves_the_one_that_is_there(call, tmp_path, monkeypatch) -> None:
    (tmp_path / "results.jsonl").write_text('{"recipe": "a/b", "check": "c", "status": "passed"}\n')
    (tmp_path / "report.md").write_text("the report of yesterday\n")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)

    line = call("report", tmp_path / "results.jsonl", "--out", tmp_path).refusal

    assert line.startswith(f"{tmp_path / 'report.md'}: cannot be written: No space left on device")
    assert (tmp_path / "report.md").read_text() == "the report of yesterday\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.md", "results.jsonl"]
