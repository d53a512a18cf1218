"""What a suite says of checks: its own ones, what is switched off and why, what findings weigh."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SUITE = """
family: llava-1.5-7b
defaults: {steps: 3, save: {what: nothing}}
checks:
  own: checks_of_mine:within_budget
  off: {labels_present: our labels are made elsewhere}
  severity: {within_budget: warning}
recipes:
  three: {tune: [connector], off: {losses_finite: the loss is infinite on purpose}}
  two: {tune: [connector], steps: 2}
"""
OTHER = "{family: llava-1.5-7b, defaults: {steps: 3, save: {what: nothing}}, recipes: {other: {tune: [connector]}}}"
CHECKED = "(within_budget and not throughput and not memory) or labels_present or losses_finite"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("own")
    (place / "mine.yaml").write_text(SUITE)
    (place / "theirs.yaml").write_text(OTHER)
    shutil.copy(HERE / "checks_of_mine.py", place)
    return place


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of modules of which most cannot be what a suite names."""
    place = tmp_path_factory.mktemp("broken")
    shutil.copy(HERE / "checks_of_mine.py", place)
    (place / "raises_something.py").write_text("1 / 0\n")
    (place / "colorsys.py").write_text("x = 1\n")
    clash = (HERE / "checks_of_mine.py").read_text().replace("within_budget", "losses_finite")
    (place / "clashes.py").write_text(clash)
    return place


@pytest.fixture(scope="module")
def ran(folder, train):
    return train("run", "mine.yaml", "theirs.yaml", "-k", CHECKED, "-n", "2", "--out", folder / "out", folder=folder)


@pytest.fixture(scope="module")
def results(ran, folder) -> dict[tuple[str, str], dict]:
    lines = (folder / "out" / "results.jsonl").read_text().splitlines()
    return {(one["recipe"], one["check"]): one for one in map(json.loads, lines)}


def test_an_own_check_judges_the_recipes_of_its_suite_and_no_other(ran, results) -> None:
    assert (ran.status, ran.err) == (0, "")
    assert {recipe for recipe, check in results if check == "within_budget"} == {"mine/three", "mine/two"}
    assert results["mine/two", "within_budget"]["status"] == "passed"


def test_a_severity_makes_an_error_a_warning(results) -> None:
    found = results["mine/three", "within_budget"]

    assert found["status"] == "warned"
    assert found["findings"] == [
        {"kind": "TooDear", "expected": "2 steps", "seen": "3 steps", "severity": "warning"},
    ]


def test_what_is_switched_off_does_not_apply_for_its_users_reason_and_elsewhere_it_is_made(results) -> None:
    off = {pair: one["reason"] for pair, one in results.items() if one["status"] == "not_applicable"}

    assert off == {
        ("mine/three", "losses_finite"): "switched off by the suite: the loss is infinite on purpose",
        ("mine/three", "labels_present"): "switched off by the suite: our labels are made elsewhere",
        ("mine/two", "labels_present"): "switched off by the suite: our labels are made elsewhere",
    }
    assert results["theirs/other", "labels_present"]["status"] == "passed"


def test_what_is_switched_off_is_counted_and_listed_in_every_report(ran, folder) -> None:
    assert "OFF  labels_present of 2 recipes: our labels are made elsewhere" in ran.out.splitlines()
    assert "OFF  losses_finite of 1 recipe: the loss is infinite on purpose" in ran.out.splitlines()
    text = (folder / "out" / "report.md").read_text()
    assert "## Switched off by the suite (3)" in text
    assert "| `labels_present` | 2 | our labels are made elsewhere |" in text
    assert "## Neither passed nor failed" not in text, "it is not among what did not apply by itself"
    assert "labels_present of 2 recipes: our labels are made elsewhere" in (folder / "out" / "report.html").read_text()


def test_what_is_switched_off_is_missed_by_a_baseline_that_has_it(folder, train, ran) -> None:
    before = {"format": 2, "recipes": {"mine/two": {"passed": ["labels_present"]}}}
    (folder / "before.json").write_text(json.dumps(before))
    arguments = ("run", "mine.yaml", "-k", "labels_present", "--baseline", "before.json", "--out", folder / "less")

    again = train(*arguments, folder=folder)

    assert again.status == 1
    assert "MISSING  mine/two: labels_present" in again.out.splitlines()


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ("off: {labels_present: our labels are made elsewhere}", "off: [labels_present]", "without a reason"),
        ("labels_present: our labels are made elsewhere", "labels_present: ' '", "without a reason"),
        ("off: {losses_finite: the loss is infinite on purpose}", "off: {losses_finite: }", "without a reason"),
        ("labels_present:", "lables_present:", "unknown check 'lables_present'; did you mean labels_present?"),
        ("off: {losses_finite:", "off: {loss_finite:", "three: off: unknown check 'loss_finite'; did you mean losses_"),
        ("{within_budget: warning}", "{in_budget: warning}", "unknown check 'in_budget'; did you mean within_budget?"),
        ("{within_budget: warning}", "{within_budget: loud}", "severity.within_budget: Input should be 'warning' or"),
        ("severity:", "severities:", "unknown setting severities; did you mean severity?"),
        ("labels_present:", "run.completed:", "run.completed cannot be quietened"),
        ("{within_budget:", "{run.completed:", "run.completed cannot be quietened"),
        ("checks_of_mine:within_budget", "checks_of_mine:within", "has no attribute 'within'"),
        ("checks_of_mine:within_budget", "checks_of_nobody:within_budget", "No module named 'checks_of_nobody'"),
        ("checks_of_mine:within_budget", "checks_of_mine:no_check", "is no check; put @check above the function"),
        ("checks_of_mine:within_budget", "within_budget", "is not written as module:name"),
        ("checks_of_mine:within_budget", "raises_something:x", "cannot be imported: ZeroDivisionError"),
        ("checks_of_mine:within_budget", "clashes:losses_finite", "two checks are named 'losses_finite'"),
        ("checks_of_mine:within_budget", "colorsys:x", "another module is named colorsys"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(was, becomes, said, broken, call) -> None:
    assert was in SUITE
    (broken / "mine.yaml").write_text(SUITE.replace(was, becomes))

    line = call("run", broken / "mine.yaml", "--out", broken / "out").refusal

    assert said in line
    assert line.startswith(str(broken)), "it says where"
    assert "; " in line, "it says what to do"
    assert not (broken / "out").exists()
