"""Whenever pinning is killed, the goldens of before are whole, or the new ones are, and never some of each."""

from __future__ import annotations

import io
import itertools
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

from harness.golden.index import INDEX, UNDER_WAY, Entry, Pinned, change, file_of, is_whole, read_index, strays
from harness.refusal import Refused
from tests.golden.conftest import Place

KILLS, KILLS_OF_RUNS = 60, 15
NAMES = ("one/a", "one/b[x]", "two/c")


def golden_of(name: str, content: bytes) -> Pinned:
    archive = content * 50_000
    file, digest = file_of(name, archive)
    facts = {"suite": "s.yaml", "saves": "full", "pinned": "2026-01-01", "commit": None, "dirty": False}
    stack = {"torch": "2", "transformers": "5", "cpu_capability": "AVX2", "threads": 1}
    return Pinned(Entry(file=file, bytes=len(archive), sha256=digest, **facts, **stack), archive)  # type: ignore[arg-type]


def all_of(content: bytes) -> dict[str, Pinned]:
    return {name: golden_of(name, content) for name in NAMES}


def state(folder: Path) -> dict[str, str]:
    """The goldens that count, each of them whole, and nothing beside them that verifying would stumble over."""
    goldens = read_index(folder)
    assert all(is_whole(folder, entry) for entry in goldens.values())
    assert strays(folder, goldens.values())[0] == []
    return {name: entry.file for name, entry in goldens.items()}


def forked(action: Callable[[], None]) -> int:
    """Do something in a process of its own; its pid."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        action()
        status = 0
    finally:
        os._exit(status)


def stop_at(number: int) -> None:
    """End this process, as a kill does, just before its so-many-th step in the file system."""
    left = [number]

    def hook(event: str, arguments: Any) -> None:
        changes = event in ("os.rename", "os.remove") or (event == "open" and (arguments[2] or 0) & os.O_WRONLY)
        if changes:
            left[0] -= 1
            if left[0] < 0:
                os._exit(9)

    sys.addaudithook(hook)


def test_stopped_before_each_step_in_the_file_system(tmp_path) -> None:
    start = tmp_path / "start"
    change(start, all_of(b"old"))
    old, new = state(start), {name: one.entry.file for name, one in all_of(b"new").items()}
    seen = []
    for number in range(100):
        folder = Path(shutil.copytree(start, tmp_path / f"at-{number}"))

        def replace(folder: Path = folder, number: int = number) -> None:
            stop_at(number)
            change(folder, all_of(b"new"))

        _, status = os.waitpid(forked(replace), 0)
        seen.append(state(folder))
        assert seen[-1] in (old, new)
        change(folder, {}, gone=["two/c"])  # what comes after an interruption clears up
        left = {entry for name, entry in seen[-1].items() if name != "two/c"}
        assert {path.name for path in folder.iterdir()} == {INDEX, *left}
        if os.waitstatus_to_exitcode(status) == 0:
            break
    assert len(seen) > 10
    assert (seen[0], seen[-1]) == (old, new)
    assert sum(before != after for before, after in itertools.pairwise(seen)) == 1, "all of them at once"


SUITE = """
family: minimind-v3
defaults: {size: tiny, steps: 1, trust_remote_code: true, data: {mix: [text]}}
recipes:
  qk: {lora: {rank: 2, targets: [q_proj, k_proj]}}
  v: {lora: {rank: 2, targets: [v_proj]}}
"""


@pytest.fixture(scope="module")
def made(patched: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Pinned]]:
    """A folder with two goldens; what pinning made of its recipes once they were others, and did not replace."""
    from harness.cli.main import status_of
    from harness.golden import index

    folder = tmp_path_factory.mktemp("kills")
    (folder / "pair.yaml").write_text(SUITE)
    pin = ["golden", "pin", "--golden", str(folder / "golden")]
    assert status_of([*pin, str(folder / "pair.yaml")]) == 0
    (folder / "pair.yaml").write_text(SUITE.replace("rank: 2", "rank: 3"))
    found: dict[str, Pinned] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "change", lambda _folder, pinned, *_rest: found.update(pinned) or {})
        assert status_of(pin) == 0
    return folder, found


def killed(action: Callable[[], None], after: Callable[[int], float]) -> None:
    """Do something in a process of its own, which waits when it is done, and kill that after so many seconds. `after`
    is given what the process says of itself."""
    told, tell = os.pipe()

    def waiting() -> None:
        os.setsid()
        sys.stdout = io.StringIO()
        os.write(tell, b"begun")
        action()
        os.write(tell, b"done")
        time.sleep(60)

    pid = forked(waiting)
    os.close(tell)
    os.read(told, 5)
    time.sleep(after(told))
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    os.close(told)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL


def _until_done(action: Callable[[], None]) -> float:
    """The seconds that something takes in a process of its own."""
    started = time.perf_counter()
    killed(action, lambda told: os.read(told, 4) and 0.0)
    return time.perf_counter() - started


def test_killed_at_random_while_goldens_are_replaced(made, tmp_path) -> None:
    folder, pinned = made
    golden, old = tmp_path / "golden", state(folder / "golden")
    new = {name: one.entry.file for name, one in pinned.items()}
    chance, outcomes = random.Random(20), []
    shutil.copytree(folder / "golden", tmp_path / "timed")
    took = _until_done(lambda: change(tmp_path / "timed", pinned) and None)
    for _ in range(KILLS):
        shutil.rmtree(golden, ignore_errors=True)
        shutil.copytree(folder / "golden", golden)
        killed(lambda: change(golden, pinned) and None, lambda _: chance.uniform(0, took))
        outcomes.append(state(golden))
        assert outcomes[-1] in (old, new)
    assert old in outcomes, "killed before"
    assert new in outcomes, "killed after"


def test_killed_at_random_while_runs_are_made(made) -> None:
    """The whole command: it touches no golden before all runs are made."""
    from harness.cli.main import status_of

    folder, _ = made
    before = {path.name: path.read_bytes() for path in (folder / "golden").iterdir()}
    chance = random.Random(21)

    def pin() -> None:
        status_of(["golden", "pin", "--golden", str(folder / "golden")])

    for _ in range(KILLS_OF_RUNS):
        killed(pin, lambda _: chance.uniform(0, 1.0))
        assert {path.name: path.read_bytes() for path in (folder / "golden").iterdir()} == before


def test_what_an_interrupted_pin_leaves_is_told_and_no_failure(pinned: Place) -> None:
    left = f"pair_lora.{'0' * 12}.tar.xz"
    (pinned.golden / left).write_bytes(b"half of it")
    (pinned.golden / UNDER_WAY).write_text(f'["{left}"]')
    (pinned.golden / ".goldens.json.77").write_text("{")
    ran = pinned.verify("--recipe", "pair/lora")

    assert ran.status == 0
    assert f"{left} is left by a pin that was interrupted: the next one takes it away" in ran.out


def test_two_that_pin_at_once_lose_nothing(tmp_path) -> None:
    change(tmp_path, {})
    pids = [forked(lambda name=name: change(tmp_path, {name: golden_of(name, b"x")})) for name in map(str, range(8))]  # type: ignore[misc]

    assert all(os.waitpid(pid, 0)[1] == 0 for pid in pids)
    assert sorted(state(tmp_path)) == [str(number) for number in range(8)]


def test_too_much_is_refused_and_nothing_is_touched(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(tmp_path, {"one/a": golden_of("one/a", b"x")})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "other.json").write_bytes(bytes(19_800_000))
    with pytest.raises(Refused, match=r"would come to 20\.0 MB, and is to stay under 20 MB; pin fewer recipes"):
        change(tmp_path, {"one/b": golden_of("one/b", b"xyz")})
    (tmp_path / "other.json").unlink()

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
