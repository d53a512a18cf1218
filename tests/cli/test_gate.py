"""`harness run --golden`: suites and goldens in one report with one exit status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.store import read_results
from harness.verdict import Baseline
from tests.cli.conftest import Ran

SUITE = """
family: llava-1.5-7b
defaults: {size: tiny, steps: 1}
recipes:
  projector: {tune: [connector]}
  adapter: {lora: {rank: %d, targets: '.*language_model.*q_proj'}}
"""


@pytest.fixture(scope="module")
def folder(train: Callable[..., Ran], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite whose two recipes are pinned; one of them is another since, and a stray archive lies with the goldens."""
    place = tmp_path_factory.mktemp("gate")
    (place / "small.yaml").write_text(SUITE % 2)
    pinned = train("golden", "pin", "small.yaml", folder=place)
    assert pinned.status == 0, pinned
    (place / "small.yaml").write_text(SUITE % 3)
    (place / "golden" / "stray.tar.xz").write_bytes(b"?")
    return place


@pytest.fixture(scope="module")
def ran(train: Callable[..., Ran], folder: Path) -> Ran:
    return train("run", "small.yaml", "--golden", "golden", "--write-baseline", "baseline.json", folder=folder)


def statuses(folder: Path, recipe: str) -> dict[str, str]:
    found = read_results(folder / "harness-out" / "results.jsonl")
    return {one.check: one.status.value for one in found if one.recipe == recipe and one.check.startswith("golden.")}


def test_a_golden_that_holds_adds_its_checks_to_its_recipe(folder: Path, ran: Ran) -> None:
    assert set(statuses(folder, "small/projector").values()) == {"passed"}
    assert "small/projector    holds: bit for bit" in ran.out


def test_a_golden_that_drifted_fails_the_run_with_a_command(folder: Path, ran: Ran) -> None:
    assert ran.status == 1
    found = statuses(folder, "small/adapter")
    assert found["golden.run"] == "failed"
    assert found["golden.kept"] == "passed"
    again = "harness golden verify --recipe small/adapter --out golden-out"
    assert again in ran.out
    assert again in (folder / "harness-out" / "report.md").read_text()
    assert (
        json.loads((folder / "harness-out" / "run.json").read_text())["commands"]["small/adapter: golden.run"] == again
    )


def test_what_lies_with_the_goldens_and_is_none_fails_by_name(folder: Path, ran: Ran) -> None:
    assert statuses(folder, "stray.tar.xz") == {"golden.kept": "failed"}


def test_all_of_it_is_counted_and_in_the_baseline(folder: Path, ran: Ran) -> None:
    assert "checks of 3 recipes" in ran.out
    applied = Baseline.read(folder / "baseline.json").applied
    assert "golden.loss" in applied["small/projector"]


def test_a_selection_verifies_the_goldens_of_what_it_chose(train: Callable[..., Ran], folder: Path, ran: Ran) -> None:
    chosen = ("--recipe", "projector", "--golden", "golden", "--baseline", "baseline.json")
    some = train("run", "small.yaml", *chosen, "--out", "some", folder=folder)
    assert some.status == 0, some
    assert "1 golden of golden" in some.out
    assert "no worse than the baseline" in some.out


def test_a_run_without_goldens_misses_none_of_the_baseline(train: Callable[..., Ran], folder: Path, ran: Ran) -> None:
    chosen = ("--recipe", "projector", "--baseline", "baseline.json")
    none = train("run", "small.yaml", *chosen, "--out", "none", folder=folder)
    assert none.status == 0, none
    assert "no worse than the baseline" in none.out


def test_bad_input_is_one_line(call: Callable[..., Ran], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert call("run", "small.yaml", "--golden", "nowhere").refusal.startswith("nowhere: holds no goldens;")
    refused = call("run", "small.yaml", "--golden", "golden", "-k", "loss").refusal
    assert refused == "-k chooses checks of the suites, and goldens have none; leave out -k, --golden or --inspect"
