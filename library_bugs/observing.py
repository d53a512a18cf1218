"""One bug in one version: its recipe or its script under the libraries of that version, and what the checks say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.compat.known import results_of
from harness.compat_table import COMPAT, CompatTable
from harness.launch.parents import HASH_SEED
from harness.result import Result, Status
from harness.stacks.file import STACKS
from harness.store import read_results
from library_bugs.asked import INTENTS, SCRIPTS, Bug
from trainers import inside
from trainers.observing import QUIET

HARNESS = (sys.executable, "-c", "from harness.cli.main import main; main()")
SECONDS = 900.0
RESULTS = "results.jsonl"


@dataclass(frozen=True)
class Verdict:
    """What was said of a bug in some versions. `failed` are the names of checks, `lost` of those that could not be
    made; `right`: caught where the version has the bug, or does
    not show it under this hash seed; silent where it has not."""

    versions: Mapping[str, str]
    broken: bool
    hash_seed: int | None
    verdict: str
    right: bool
    applied: int
    failed: tuple[str, ...]
    lost: tuple[str, ...]
    seen: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def judged(
    bug: Bug,
    versions: Mapping[str, str],
    broken: bool,
    hash_seed: int | None,
    results: Sequence[Result],
) -> Verdict:
    """What the results of one run come to."""
    applied = sum(one.status is not Status.NOT_APPLICABLE for one in results)
    failed = tuple(dict.fromkeys(one.check for one in results if one.status in (Status.FAILED, Status.WARNED)))
    lost = tuple(dict.fromkeys(one.check for one in results if one.status is Status.BLOCKED))
    told = {one.check: one for one in results if one.check in bug.caught_by and _says(one, bug.saying)}
    caught = tuple(name for name in failed if name in told)
    if caught:
        said = f"caught: {', '.join(caught)}"
    elif failed or lost:
        said = f"otherwise: {', '.join(failed or lost)}"
    else:
        said = "silent" if applied else "not observed"
    unseen = hash_seed is not None and said == "silent"  # the bug need not show under every seed
    right = bool(caught) or unseen if broken else said == "silent"
    seen = _seen(told[caught[0]]) if caught else ""
    return Verdict(dict(versions), broken, hash_seed, said, right, applied, failed, lost, " ".join(seen.split())[:200])


def _says(result: Result, word: str) -> bool:
    """Whether there is something wrong, and the word is in what was seen."""
    return result.status in (Status.FAILED, Status.WARNED) and word in _seen(result)


def _seen(result: Result) -> str:
    return result.findings[0].seen if result.findings else result.reason


def observe(
    bug: Bug, versions: Mapping[str, str], layer: Path | None, place: Path, hash_seed: int | None
) -> list[Result]:
    """Run a bug's recipe or script with a layer's libraries, in a folder that is made anew."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    seed = {} if hash_seed is None else {"PYTHONHASHSEED": str(hash_seed), HASH_SEED: str(hash_seed)}
    if bug.script:
        return _of_script(bug, layer, place, seed)
    suite, name = bug.suite
    if bug.saved_under:
        return _of_load(bug.saved_under, versions, ["compat", str(suite), "--recipe", name], place)
    asked = ["run", str(suite), "--recipe", name, "--out", str(place / "out"), "--history", "off"]
    _harness(asked, place, _over(layer) | seed, suite.parent)
    return _read(place / "out" / RESULTS)


def _of_script(bug: Bug, layer: Path | None, place: Path, seed: dict[str, str]) -> list[Result]:
    """The script under `harness trace`, and once for each partner. Only the script is under the layer's libraries: the
    harness records in any, and judges in its own. What is to be loaded again it loads, under the layer too."""
    assert bug.script is not None
    again, around = (["--reload", "auto"], _over(layer) | seed) if bug.script.reload else ([], seed)
    intent = ["--intent", f"{INTENTS}::{bug.script.intent}"]
    for partner in ("", *bug.script.partners):
        words = bug.script.words(partner, scripts=str(SCRIPTS), out=str(place / f"saved-{partner or 'out'}"))
        command = [sys.executable, inside.__file__, str(layer or ""), *words]
        asked = [*again, *(() if partner else intent), "--out", str(place / (partner or "out"))]
        _harness(["trace", *asked, "--", *command], place, around)
    if not bug.script.partners:
        return _read(place / "out" / RESULTS)
    given = [word for name in bug.script.partners for word in ("--with", f"{name}={place / name / 'trace'}")]
    said = _harness(["check", str(place / "out" / "trace"), *intent, *given, "--json"], place, seed)
    (place / RESULTS).write_text("".join(f"{json.dumps(one)}\n" for one in json.loads(said)), encoding="utf-8")
    return _read(place / RESULTS)


def _of_load(
    saved_under: Mapping[str, str], versions: Mapping[str, str], asked: Sequence[str], place: Path
) -> list[Result]:
    """What is saved under some versions and loaded under others, by `harness compat`."""
    stacks = {"saved": dict(saved_under), "loaded": dict(versions)}
    (place / STACKS).write_text(json.dumps({"stacks": stacks}), encoding="utf-8")  # JSON is YAML
    _harness([*asked, "--stacks", str(place / STACKS), "--out", str(place / "out"), "-n", "1"], place, {})
    if not (place / "out" / COMPAT).exists():
        return []
    cells = CompatTable.read(place / "out" / COMPAT).cells
    wanted = [cell for cell in cells if (cell.saved_under, cell.loaded_under) == ("saved", "loaded")]
    return [result for cell in wanted for result in results_of(cell)]


def _read(path: Path) -> list[Result]:
    return read_results(path) if path.exists() else []


def _over(layer: Path | None) -> dict[str, str]:
    """The environment of a process whose libraries are a layer's."""
    above = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    return {"PYTHONPATH": os.pathsep.join([str(layer), *above])} if layer else {}


def _harness(
    arguments: Sequence[str], place: Path, environment: Mapping[str, str], started_in: Path | None = None
) -> str:
    """What a command of the harness prints; with its errors it is kept in the folder, where it is started, if not
    elsewhere: what a suite names by its path is found from the suite's own folder."""
    around = {**os.environ, **QUIET, **environment}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    with (place / "output.txt").open("a", encoding="utf-8") as errors:
        ended = subprocess.run(
            [*HARNESS, *arguments],
            cwd=started_in or place,
            env={**around, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=errors,
            stdin=subprocess.DEVNULL,
            timeout=SECONDS,
            text=True,
            check=False,
        )
        errors.write(ended.stdout)
    return ended.stdout
