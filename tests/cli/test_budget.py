"""`harness budget`: from the timed runs of a run to the file that suites are held against, without training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.cli.main import status_of
from harness.recipe import read_suite
from harness.recipe.budget_file import BUDGETS, read_budgets
from harness.refusal import Refused
from harness.report.about import AboutRun
from tests.judging.pace_specimens import BARE, DEVICE, FLOPS, HERE, NOISE, RATE

SUITE = """\
family: llava-1.5-7b
recipes:
  connector:
    tune: [connector]
    budget: {throughput: {of_bare: 0.6, pinned: true}}
  other:
    tune: [connector]
    budget: {throughput: {of_bare: 0.6}}
"""


def timed_run(out: Path, recipe: str, noise: tuple[float, ...] = NOISE) -> None:
    """What a timed run leaves behind."""
    trace = out / "runs" / recipe.replace("/", "_") / "trace"
    (trace / "rank-0").mkdir(parents=True)
    (trace / "header.json").write_text(json.dumps({"format": 1, "recipe_id": recipe}))
    events = [{"kind": "closing", "steps": 3}, {"kind": "probe", "name": "operations", "flops": [FLOPS / 10] * 10}]
    (trace / "rank-0" / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in events))
    windows = {"seconds": [BARE * one for one in noise], "matmul": [RATE] * (len(noise) + 1)}
    pace = {"device": DEVICE, "torch": "2.13.0", "window": 10, "run": windows, "bare": windows}
    (trace / "measured.json").write_text(json.dumps({"seconds": {}, "pace": pace}))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "mine.yaml").write_text(SUITE)
    out = tmp_path / "out"
    out.mkdir()
    AboutRun(suites={"mine": str(tmp_path / "mine.yaml")}).write(out)
    return out


def test_what_was_measured_is_what_a_recipe_is_held_against(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    timed_run(out, "mine/connector")
    assert status_of(["budget", str(out), "--write"]) == 0
    said = capsys.readouterr().out

    suite = read_suite(out.parent / "mine.yaml")
    (measured,) = suite.recipes["connector"].budget.throughput.measured  # type: ignore[union-attr]
    assert (measured.device, measured.torch) == (DEVICE, "2.13.0")
    assert measured.of_matmul == pytest.approx(HERE, rel=0.02)
    assert suite.recipes["other"].budget.throughput.measured == ()  # type: ignore[union-attr]
    assert DEVICE in said
    assert "100% of the bare loop's speed" in said


def test_other_devices_and_recipes_stay(out: Path) -> None:
    file = out.parent / BUDGETS
    old: dict[str, Any] = {"device": "cuda: another", "of_matmul": 0.4}
    mine = {**old, "device": DEVICE}
    file.write_text(json.dumps({"mine/connector": [old, mine], "else/one": [old]}))
    timed_run(out, "mine/connector")
    assert status_of(["budget", str(out), "--write"]) == 0

    known = read_budgets(file)
    assert [one.device for one in known["mine/connector"]] == ["cuda: another", DEVICE]
    assert known["mine/connector"][0].of_matmul == 0.4
    assert known["mine/connector"][1].of_matmul != 0.4
    assert known["else/one"][0].device == "cuda: another"


def test_without_the_option_nothing_is_written(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    timed_run(out, "mine/connector")
    assert status_of(["budget", str(out), "--json"]) == 0

    (record,) = json.loads(capsys.readouterr().out)
    assert (record["recipe"], record["steady"]) == ("mine/connector", True)
    assert record["of_bare"] == pytest.approx(1, rel=0.02)
    assert not (out.parent / BUDGETS).exists()


def test_noise_is_not_written_down(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    timed_run(out, "mine/connector", noise=tuple(0.5 + place / 8 for place in range(12)))
    assert status_of(["budget", str(out), "--write"]) == 1

    assert "too noisy to be written down" in capsys.readouterr().out
    assert not (out.parent / BUDGETS).exists()


def test_a_run_without_timed_runs_is_refused(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["budget", str(out)]) == 2
    assert "holds no timed run" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["[1]", "{a: [{device: d}]}", "{a: [{device: d, of_matmul: -1}]}", "{a: 3}"])
def test_a_broken_file_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / BUDGETS).write_text(text)
    (tmp_path / "mine.yaml").write_text(SUITE)
    with pytest.raises(Refused, match=r"write it anew|is not") as refused:
        read_suite(tmp_path / "mine.yaml")
    assert "\n" not in str(refused.value)
