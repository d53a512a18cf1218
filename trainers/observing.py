"""One case: its command under `harness trace`, what it saved under `harness inspect`, and what came of both."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.result import Result, Status
from harness.store import read_results
from trainers.asked import HEALTHY, HERE, Case

SECONDS = 900.0
FORKING = multiprocessing.get_context("fork")
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "CUDA_VISIBLE_DEVICES": "",
    "MKL_NUM_THREADS": "1",
}
BAD = (Status.FAILED, Status.BLOCKED, Status.WARNED)


@dataclass(frozen=True)
class Verdict:
    """What was said of a case. `failed` are the names of checks, `lost` of those that could not be made."""

    case: Case
    verdict: str
    right: bool
    applied: int
    failed: tuple[str, ...]
    lost: tuple[str, ...]
    seconds: float
    command: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def observe(
    case: Case, words: Sequence[str], intent: str, base: Path, place: Path, layer: Path | None, **more: Any
) -> Verdict:
    """Run a case in a folder of its own. `more`: `wanted`, checks of which one must fail; `environment` of the command;
    `shown`, it without places of this machine; `kind`, what the saved directory was meant to hold, if it does not show.
    """
    place.mkdir(parents=True)
    started = time.perf_counter()
    ended = _traced(words, intent, place, layer, more.get("environment", {}))
    seconds = time.perf_counter() - started
    results = read_results(place / "trace" / "results.jsonl") if (place / "trace" / "results.jsonl").exists() else []
    problems = _inspected(place / "out", base, more.get("kind"))
    return judged(case, results, problems, ended, round(seconds, 1), more["shown"], more.get("wanted", ()))


def judged(
    case: Case,
    results: Sequence[Result],
    problems: Sequence[str],
    ended: int,
    seconds: float,
    command: str,
    wanted: Sequence[str] = (),
) -> Verdict:
    """What a case came to: a healthy run is silent, a defect is caught by a check of its kind."""
    applied = sum(result.status is not Status.NOT_APPLICABLE for result in results)
    failed = (*dict.fromkeys(one.check for one in results if one.status in (Status.FAILED, Status.WARNED)), *problems)
    lost = tuple(dict.fromkeys(one.check for one in results if one.status is Status.BLOCKED))
    if not results:
        said, right = f"not observed, exit status {ended}", False
    elif case in HEALTHY:
        right = not failed and not lost
        said = "silent" if right else f"false alarm: {', '.join(failed)}" if failed else f"lost: {', '.join(lost)}"
    else:
        caught = [name for name in failed if name in wanted]
        right = bool(caught)
        said = f"caught: {', '.join(caught)}" if right else f"missed; failed: {', '.join(failed) or 'nothing'}"
    return Verdict(case, said, right, applied, tuple(failed), lost, seconds, command)


def _traced(words: Sequence[str], intent: str, place: Path, layer: Path | None, environment: Mapping[str, str]) -> int:
    """Run a command in its layer under `harness trace`; the exit status is that of both."""
    inside = [sys.executable, str(HERE / "inside.py"), str(layer or ""), *words]
    asked = ["trace", "--intent", f"{HERE / 'intents.yaml'}::{intent}", "--out", str(place / "trace"), "--", *inside]
    return harness(asked, place / "output.txt", place, environment)


def _inspected(saved: Path, base: Path, kind: str | None) -> list[str]:
    """What `harness inspect` finds wrong with the saved directory, held against its base: the names of parts."""
    said = saved.with_name("inspected.json")
    command = ["inspect", str(saved), "--base", str(base), "--json", *(["--kind", kind] if kind else [])]
    if harness(command, said, saved.parent, {}) not in (0, 1):
        return [f"inspect: {said.read_text().strip()}"]
    findings = json.loads(said.read_text(encoding="utf-8"))["findings"]
    return list(dict.fromkeys(str(one["about"]) for one in findings if one["severity"] == "error"))


def harness(arguments: Sequence[str], output: Path, place: Path, environment: Mapping[str, str]) -> int:
    """A command of the harness in a fork of this process, which has imported it once for all; its exit status."""

    process = FORKING.Process(target=_forked, args=(list(arguments), output, place, dict(environment)))
    process.start()
    process.join(SECONDS)
    if process.is_alive():
        process.terminate()
        process.join()
    return process.exitcode if process.exitcode is not None else 1


def _forked(arguments: list[str], output: Path, place: Path, environment: dict[str, str]) -> None:
    from harness.cli.main import status_of

    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    os.environ.update({**QUIET, "PATH": path, **environment})
    os.chdir(place)
    with output.open("w", encoding="utf-8") as file, Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        status = status_of(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)
