"""Scripts in an environment of other years, traced there by the recorder and judged here: `nox -s old_scripts`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tracing.conftest import HERE, SCRIPTS
from tests.tracing.test_scripts import DEFECTS

OLD = os.environ.get("HARNESS_OLD_PYTHON", "")
LATER = {"compiled", "mixed_precision"}  # torch 2.0 has no gradient scaler for the CPU, and compiles for minutes

pytestmark = pytest.mark.skipif(not OLD, reason="HARNESS_OLD_PYTHON names no interpreter of another environment")


def traced(script: Path, defect: str, place: Path) -> tuple[int, dict[str, dict[str, object]]]:
    """The exit status, and the results by check."""
    place.mkdir()
    command = [
        sys.executable,
        "-m",
        "harness",
        "trace",
        "--out",
        "out",
        "--",
        OLD,
        str(script),
        *([defect] * bool(defect)),
    ]
    ended = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False, timeout=120)
    assert (place / "out" / "results.jsonl").exists(), ended.stdout + ended.stderr
    results = [json.loads(line) for line in (place / "out" / "results.jsonl").read_text().splitlines()]
    return ended.returncode, {one["check"]: one for one in results}


@pytest.mark.parametrize("name", sorted(set(DEFECTS) - LATER))
def test_a_script_is_silent_and_its_defect_is_found(name: str, tmp_path: Path) -> None:
    defect, check, kind = DEFECTS[name]

    status, healthy = traced(SCRIPTS / f"{name}.py", "", tmp_path / "healthy")
    failed, found = traced(SCRIPTS / f"{name}.py", defect, tmp_path / "defect")

    assert not {name: one for name, one in healthy.items() if one["status"] not in ("passed", "not_applicable")}
    assert status == 0
    assert failed == 1
    assert kind in json.dumps(found[check])


@pytest.mark.parametrize(
    ("defect", "check"),
    [("", None), ("nothing zeroed", "gradients_fresh"), ("saved as begun", "trained_values_saved")],
    ids=["healthy", "nothing zeroed", "saved as begun"],
)
def test_a_model_of_old_transformers(defect: str, check: str | None, tmp_path: Path) -> None:
    status, results = traced(HERE / "ways" / "old_transformers.py", defect, tmp_path / "here")

    wrong = [name for name, one in results.items() if one["status"] not in ("passed", "not_applicable")]
    assert wrong == ([check] if check else [])
    assert status == (1 if check else 0)
    assert sum(one["status"] == "passed" for one in results.values()) >= 8
    measured = json.loads((tmp_path / "here" / "out" / "trace" / "rank-0" / "measured.json").read_text())
    assert measured["costs"]["device"].startswith("cpu: ")
    header = json.loads((tmp_path / "here" / "out" / "trace" / "header.json").read_text())
    assert header["environment"]["versions"]["transformers"].startswith("4.36")
    assert header["environment"]["versions"]["torch"].startswith("2.0")
