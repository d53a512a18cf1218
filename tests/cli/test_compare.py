"""`harness compare` over real recordings: equal runs, runs that part ways, runs of two experiments, bad input."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import harness
from harness.comparator import Verdict

SUITE = """
family: llava-1.5-7b
defaults: {size: tiny, steps: 3, save: {what: nothing}}
recipes:
  connector: {tune: [connector]}
  faster: {tune: [connector], optimizer: {learning_rate: 2.0e-3}}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory, train) -> Path:
    folder = tmp_path_factory.mktemp("compared")
    (folder / "pair.yaml").write_text(SUITE)
    for out in ("one", "two"):
        ran = train("run", "pair.yaml", "--out", folder / out, "-k", "completed", folder=folder)
        assert ran.status == 0, ran
    return folder


def trace(runs: Path, out: str, recipe: str = "connector") -> Path:
    return runs / out / "runs" / f"pair_{recipe}" / "trace"


def test_the_same_recipe_twice_is_equal_bit_for_bit(runs, run_harness) -> None:
    ran = run_harness("compare", trace(runs, "one"), trace(runs, "two"), folder=runs)
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("The two runs are equal, bit for bit.\n")
    assert "final values" in ran.out


def test_two_recipes_are_not_comparable_unless_the_setting_is_meant_to_differ(runs, run_harness) -> None:
    pair = (trace(runs, "one"), trace(runs, "one", "faster"))
    ran = run_harness("compare", *pair, folder=runs)
    assert ran.status == 1
    assert "not comparable" in ran.out
    assert "the recipes differ in optimizer.learning_rate: not set and 0.002" in ran.out

    ran = run_harness("compare", *pair, "--may-differ", "optimizer.learning_rate", "--json", folder=runs)
    found = json.loads(ran.out)
    assert ran.status == 1
    assert found["verdict"] == "different"
    assert (found["first"]["field"], found["first"]["step"]) == ("learning rate", 0)


def test_another_environment_is_named_and_bits_are_asked_for_by_name(runs, run_harness, tmp_path) -> None:
    other = Path(shutil.copytree(trace(runs, "two"), tmp_path / "trace"))
    header = json.loads((other / "header.json").read_text())
    header["environment"]["threads"] = 3
    (other / "header.json").write_text(json.dumps(header))
    ran = run_harness("compare", trace(runs, "one"), other, folder=runs)
    assert ran.status == 0
    assert "The two runs agree within their tolerances." in ran.out
    assert "threads: 1 and 3" in ran.out
    assert "allowed: three times what the shipped recipes" in ran.out
    ran = run_harness("compare", trace(runs, "one"), other, "--bits", folder=runs)
    assert ran.out.startswith("The two runs are equal, bit for bit.\n")


@pytest.mark.parametrize("which", [0, 1])
def test_what_is_no_trace_is_one_line(runs, run_harness, which) -> None:
    pair = [trace(runs, "one"), trace(runs, "two")]
    pair[which] = runs / "nowhere"
    ran = run_harness("compare", *pair, folder=runs)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == f"harness: {runs / 'nowhere'}: is not a trace: no header.json; name a trace directory\n"


def test_the_face_compares_as_the_command_does(runs) -> None:
    found = harness.compare(trace(runs, "one"), trace(runs, "two"))
    assert found.verdict is Verdict.EQUAL
