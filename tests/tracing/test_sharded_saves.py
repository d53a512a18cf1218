"""A model of pictures of which each process trains a part is saved whole, comes back, and is what was trained."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import harness
from tests.tracing.conftest import HERE

HEALTHY = ("by rows", "laid flat")
DEFECTS = {
    "by rows, as begun": 25,
    "laid flat, as begun": 25,
    "by rows, a stale head": 1,
    "laid flat, a stale head": 1,
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from harness.families import family

    place = tmp_path_factory.mktemp("base")
    family("llava-1.5-7b").write_base(place)
    return place


@pytest.fixture
def traced(base: Path, tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, harness.Result]:
    script = [sys.executable, "-W", "ignore", str(HERE / "ways" / "sharded_vlm.py"), str(base), request.param]
    command = [sys.executable, "-m", "harness", "trace", "--reload", "auto", "--out", "out", "--", *script]
    subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, timeout=240)
    return {result.check: result for result in harness.check(tmp_path / "out" / "trace")}


@pytest.mark.parametrize("traced", HEALTHY, indirect=True)
def test_a_healthy_run_is_silent_and_comes_back(traced: dict[str, harness.Result]) -> None:
    assert not [one for one in traced.values() if one.status.value not in ("passed", "not_applicable")]
    passed = {name for name, one in traced.items() if one.status.value == "passed"}
    assert {"frozen_stays", "replicas_agree", "values_come_back", "saved_directory_comes_back"} <= passed


@pytest.mark.parametrize(("traced", "count"), DEFECTS.items(), indirect=["traced"])
def test_what_is_not_what_was_trained_is_found(traced: dict[str, harness.Result], count: int) -> None:
    (finding,) = traced["values_come_back"].findings

    assert finding.kind == "NotAsSaved"
    assert int(finding.seen.split()[0]) == count
    assert traced["run.completed"].status.value == "passed"
