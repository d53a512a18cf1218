"""Ctrl-C ends the command in one line, whatever is under way, and leaves no process and no half of a table."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT


def processes_of(mark: str) -> list[int]:
    """The processes that have something in their environment; those of this test have a cache of their own."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes() and (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:  # it has ended, or is somebody else's
            continue
    return [pid for pid in found if pid != os.getpid()]


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize(
    ("line", "wait"),
    [("installing", 0.3), ("saved", 0.5)],
    ids=["building", "loading"],
)
def test_interrupted(place: Path, line: str, wait: float) -> None:
    old = '{"format": 1, "stacks": [], "recipes": []}'
    (place / "out").mkdir()
    (place / "out" / ".harness-out").write_text("")
    (place / "out" / "compat.json").write_text(old)
    command = "import sys; from harness.cli.main import main; sys.argv = ['harness', *sys.argv[1:]]; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", command, "compat", "pair.yaml", "--recipe", "full", "--out", "out", "-n", "2"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said: list[str] = []
    while not said or line not in said[-1]:
        said.append(process.stderr.readline())
        assert said[-1], said
    time.sleep(wait)
    process.send_signal(signal.SIGINT)
    out, rest = process.communicate(timeout=60)

    assert process.returncode == 130, rest
    assert rest.splitlines()[-1] == "harness: interrupted", rest
    assert [text for text in rest.splitlines()[:-1] if not text.startswith("stack ")] == []
    assert out == ""
    assert (place / "out" / "compat.json").read_text() == old
    assert list((place / "out").glob(".compat.json.*")) == []
    until = time.monotonic() + 5
    while (left := processes_of(str(place / "cache"))) and time.monotonic() < until:
        time.sleep(0.1)
    assert left == []
