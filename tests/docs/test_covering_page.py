"""The page on covering suites: its suite runs as it says, whole and in part."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.running.session import suite_at
from tests.docs.conftest import ROOT
from tests.docs.test_readme import each_command_of, run

PAGE = "docs/covering.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where its commands were run one after the other, each with the output that is shown for it."""
    place = tmp_path_factory.mktemp("covering")
    for ended, shown in each_command_of(PAGE, place):
        assert set(shown) <= set(ended.stdout.splitlines()), ended.stdout
    return place


def coverage_in(folder: Path) -> dict[str, Any]:
    (covered,) = json.loads((folder / "run.json").read_text())["coverage"]
    return dict(covered)


def test_a_whole_run_covers_the_whole_and_says_so_everywhere(folder: Path) -> None:
    covered = coverage_in(folder / "harness-out")

    assert (covered["covered"], covered["possible"], covered["impossible"]) == (23, 23, {"something_trains": 1})
    said = "all 23 pairs of 4 settings in 5 recipes of 16; 1 pair cannot be"
    assert said in (folder / "harness-out" / "report.md").read_text()
    assert said in (folder / "harness-out" / "report.html").read_text()


def test_a_part_covers_a_part(folder: Path) -> None:
    covered = coverage_in(folder / "one")

    assert (covered["covered"], covered["run"], covered["recipes"]) == (6, 1, 5)
    assert "6 of 23 pairs of 4 settings in 1 of 5 recipes of 16" in (folder / "one" / "report.md").read_text()


def test_under_a_keyword_nothing_is_said_to_be_covered(folder: Path) -> None:
    ended = run("harness run covered.yaml --recipe 'release[connector-r4-bf16-by-2]' -k losses_finite", folder)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "COVERED" not in ended.stdout


def test_the_shipped_suite_covers_every_pair_that_can_be() -> None:
    suite = suite_at(ROOT / "suites" / "covering" / "llava.yaml")

    (covered,) = suite.coverage(suite.recipes)
    assert covered.whole
    assert (covered.ways, covered.covered) == (2, covered.possible)
    assert covered.axes >= 15
    assert covered.recipes <= 95  # 80 is what its two longest axes need
