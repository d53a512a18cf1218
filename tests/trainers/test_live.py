"""Two runs of one trainer that is there anyway; `nox -s trainers` makes all runs of all, each installed for itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.docs.conftest import ROOT
from trainers.table import read_table


def test_transformers_trainer_is_silent_in_health_and_caught_with_an_early_optimizer(tmp_path: Path) -> None:
    cases = ["--case", "healthy adapter", "--case", "optimizer before adapter"]
    ended = subprocess.run(
        [sys.executable, "-m", "trainers", "transformers.Trainer", "--out", str(tmp_path), *cases],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    (row,) = read_table(tmp_path / "trainers.json")["trainers"]
    healthy, early = row["cases"]
    assert (healthy["verdict"], early["verdict"].partition(":")[0]) == ("silent", "caught")
    assert min(healthy["applied"], early["applied"]) >= 15
    assert "optimizer_holds_trainables_once" in early["failed"]


def test_a_trainer_that_is_not_there_is_wrong_usage() -> None:
    from trainers.__main__ import main

    assert main(["axolotl"]) == 2
