"""Time to a verdict and slowdown of a step, of both."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.figure import Figure

VERSION = "0.2.0"
SCRIPT = Path(__file__).parent / "script.py"
ROUNDS = 3


def traincheck_beside() -> Iterator[Figure]:
    """TrainCheck learns from a good run what holds, once, and then checks runs against that; this needs no good run.

    Its environment is a layer over this one: the same torch. Both are asked about the script with a defect, and say so.
    """
    layer = _layer()
    verdicts: dict[str, list[float]] = {"ours": [], "theirs": [], "learning": []}
    slower: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            round_ = _Round(Path(folder), layer)
            bare = round_.bare()
            verdicts["learning"].append(round_.learns())
            for name, verdict in (("ours", round_.ours), ("theirs", round_.theirs)):
                seconds, step = verdict()
                verdicts[name].append(seconds)
                slower[name].append(step / bare)
    pairs = list(zip(verdicts["ours"], verdicts["theirs"], strict=True))
    yield Figure(
        "a verdict on a script, ours over TrainCheck's", [ours / theirs for ours, theirs in pairs], "times", 1.0
    )
    yield Figure("a verdict on a script, harness trace", verdicts["ours"], "s", None)
    yield Figure("a verdict on a script, TrainCheck", verdicts["theirs"], "s", None)
    yield Figure("what TrainCheck learns from a good run before, once", verdicts["learning"], "s", None)
    yield Figure("a step under harness trace over a bare one", slower["ours"], "times", None)
    yield Figure("a step under TrainCheck over a bare one", slower["theirs"], "times", None)


def _layer() -> Path:
    from harness.stacks import AskedStack, Layers

    layered = Layers(say=lambda line: print(line, flush=True)).one(
        AskedStack(name="traincheck", versions={"traincheck": VERSION})
    )
    assert layered.folder is not None
    return layered.folder


class _Round:
    """One script, once by itself and once by each."""

    def __init__(self, folder: Path, layer: Path) -> None:
        self._folder, self._layer = folder, layer
        self._steps = folder / "steps.json"

    def bare(self) -> float:
        """The seconds of a step."""
        self._run([sys.executable, str(SCRIPT)], "")
        return self._step()

    def ours(self) -> tuple[float, float]:
        """Seconds from the command to its verdict, and those of a step."""
        traced = ["-m", "harness", "trace", "--out", str(self._folder / "ours"), "--", sys.executable, str(SCRIPT)]
        seconds = self._run([sys.executable, *traced], "yes", wanted=1)
        assert "gradients_fresh" in (self._folder / "said.txt").read_text()
        return seconds, self._step()

    def learns(self) -> float:
        """Seconds of a good run under TrainCheck, and of inferring from it what holds."""
        seconds = self._collect("good", "", [])
        asked = ["-f", str(self._folder / "good"), "-o", str(self._invariants)]
        return seconds + self._run(self._tool("infer_engine", asked), "")

    def theirs(self) -> tuple[float, float]:
        """Seconds of a run that is held against what was learnt, and those of a step of it."""
        seconds = self._collect("target", "yes", ["--invariants", str(self._invariants)])
        step = self._step()
        asked = ["-f", str(self._folder / "target"), "-i", str(self._invariants), "-o", str(self._folder / "checked")]
        return seconds + self._run(self._tool("checker", asked), ""), step

    @property
    def _invariants(self) -> Path:
        return self._folder / "invariants.json"

    def _collect(self, name: str, defect: str, more: Sequence[str]) -> float:
        place = str(self._folder / name)
        asked = ["--pyscript", str(SCRIPT), "--models-to-track", "model", "--output-dir", place, *more]
        return self._run(self._tool("collect_trace", asked), defect)

    def _tool(self, module: str, asked: Sequence[str]) -> list[str]:
        return [sys.executable, "-c", f"from traincheck.{module} import main; main()", *asked]

    def _step(self) -> float:
        seconds: list[float] = json.loads(self._steps.read_text())
        return statistics.median(seconds[2:])

    def _run(self, command: Sequence[str], defect: str, wanted: int = 0) -> float:
        path = os.pathsep.join([str(self._layer), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "STEPS_FILE": str(self._steps)}
        environment["DEFECT"] = defect
        said = self._folder / "said.txt"
        started = time.perf_counter()
        with said.open("wb") as output:
            ended = subprocess.run(
                command, env=environment, cwd=self._folder, stdout=output, stderr=output, check=False, timeout=1200
            )
        assert ended.returncode == wanted, said.read_text()[-3000:]
        return time.perf_counter() - started
