"""Time to a verdict and slowdown of a step, of both."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path
from site import getsitepackages as site_packages

from benchmarks.figure import Figure

VERSION = "0.2.0"
SCRIPT = Path(__file__).parent / "script.py"
ROUNDS = 3


def traincheck_beside() -> Iterator[Figure]:
    """TrainCheck learns from a good run what holds, once, and then checks runs against that; this needs no good run.

    Its environment is a layer over this one: the same torch. Both are asked about the script with its defect.
    """
    ours: list[float] = []
    theirs: list[float] = []
    ours_slower: list[float] = []
    theirs_slower: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        beside = _Beside(Path(folder), _interpreter(Path(folder) / "interpreter", _layer()))
        learning = beside.learns()
        for number in range(ROUNDS):
            bare = beside.bare()
            for seconds, slower, verdict in (
                (ours, ours_slower, beside.ours),
                (theirs, theirs_slower, beside.theirs),
            ):
                took, step = verdict(number)
                seconds.append(took)
                slower.append(step / bare)
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    yield Figure("a verdict on a script, ours over TrainCheck's", ratios, "times", 1.0)
    yield Figure("a verdict on a script, harness trace", ours, "s", None)
    yield Figure("a verdict on a script, TrainCheck", theirs, "s", None)
    yield Figure("what TrainCheck learns from a good run before, once", [learning], "s", None)
    yield Figure("a step under harness trace over a bare one", ours_slower, "times", None)
    yield Figure("a step under TrainCheck over a bare one", theirs_slower, "times", None)


def _layer() -> Path:
    from harness.stacks import AskedStack, Layers

    layered = Layers(say=lambda line: print(line, flush=True)).one(
        AskedStack(name="traincheck", versions={"traincheck": VERSION})
    )
    assert layered.folder is not None
    return layered.folder


def _interpreter(place: Path, layer: Path) -> str:
    """One that has the layer, and then what this one has, in its own site-packages: TrainCheck sets PYTHONPATH anew."""
    venv.create(place, symlinks=True)
    site = next(place.glob("lib/python*/site-packages"))
    site.joinpath("beside.pth").write_text("\n".join([str(layer), *site_packages()]) + "\n")
    return str(place / "bin" / "python")


class _Beside:
    """One script by itself and under each. TrainCheck writes beside the script, which is therefore a copy."""

    def __init__(self, folder: Path, interpreter: str) -> None:
        self._folder, self._interpreter = folder, interpreter
        self._script, self._steps = folder / SCRIPT.name, folder / "steps.json"
        self._script.write_text(SCRIPT.read_text())

    def bare(self) -> float:
        """The seconds of a step."""
        self._run([sys.executable, str(self._script)], "")
        return self._step()

    def ours(self, number: int) -> tuple[float, float]:
        """Seconds from the command to its verdict, and those of a step."""
        trace = ["-m", "harness", "trace", "--out", str(self._folder / f"ours-{number}"), "--"]
        seconds = self._run([sys.executable, *trace, sys.executable, str(self._script)], "yes", wanted=1)
        assert "gradients_fresh" in (self._folder / "said.txt").read_text()
        return seconds, self._step()

    def learns(self) -> float:
        """Seconds of a good run under TrainCheck, and of inferring from it what holds."""
        seconds = self._collect("good", "", [])
        asked = ["-f", str(self._folder / "good"), "-o", str(self._invariants)]
        return seconds + self._run(self._tool("infer_engine", asked), "")

    def theirs(self, number: int) -> tuple[float, float]:
        """Seconds of a run that is held against what was learnt, and those of a step of it."""
        target, checked = f"target-{number}", str(self._folder / f"checked-{number}")
        seconds = self._collect(target, "yes", ["--invariants", str(self._invariants)])
        step = self._step()
        asked = ["-f", str(self._folder / target), "-i", str(self._invariants), "-o", checked]
        return seconds + self._run(self._tool("checker", asked), ""), step

    @property
    def _invariants(self) -> Path:
        return self._folder / "invariants.json"

    def _collect(self, name: str, defect: str, more: Sequence[str]) -> float:
        place = str(self._folder / name)
        asked = ["--pyscript", str(self._script), "--models-to-track", "model", "--output-dir", place, *more]
        return self._run(self._tool("collect_trace", asked), defect)

    def _tool(self, module: str, asked: Sequence[str]) -> list[str]:
        return [self._interpreter, "-c", f"from traincheck.{module} import main; main()", *asked]

    def _step(self) -> float:
        seconds: list[float] = json.loads(self._steps.read_text())
        return statistics.median(seconds[2:])

    def _run(self, command: Sequence[str], defect: str, wanted: int = 0) -> float:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "STEPS_FILE": str(self._steps), "DEFECT": defect}
        said = self._folder / "said.txt"
        started = time.perf_counter()
        with said.open("wb") as output:
            ended = subprocess.run(
                command, env=environment, cwd=self._folder, stdout=output, stderr=output, check=False, timeout=1200
            )
        assert ended.returncode == wanted, said.read_text()[-3000:]
        return time.perf_counter() - started
