"""JUnit XML as services read it: Jenkins, GitLab, GitHub's actions, Azure; what they need on each element is there."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as Xml

import pytest

from harness.report import RunReport, to_junit
from harness.report.junit import MOST_IN_FULL
from harness.result import Finding, Result, Status


class ParameterMoved(Finding):
    pass


MOVED = ParameterMoved("same", "moved \x1b[1m<b>\x00\ufffe")
RUN = RunReport(
    (
        Result("m/a", "frozen", Status.FAILED, "1 finding", (MOVED,)),
        Result("m/a", "run.completed", Status.PASSED),
        Result("m/a", "known", Status.KNOWN_FAILURE, "see thread"),
        Result("m/b", "frozen", Status.NOT_APPLICABLE, "no adapter"),
        Result("m/b", "probed", Status.BLOCKED, "compiled"),
        Result("m/b", "run.completed", Status.WARNED, "slow"),
    ),
    seconds={"m/a": 1.25, "m/b": 0.5},
    again={("m/a", "frozen"): "harness run s.yaml -k frozen"},
    missing=("m/c: loads",),
    unused=("known_failures.yaml: x of m/*",),
    not_judged=("m/d",),
)


def read(run: RunReport) -> Xml.Element:
    return Xml.fromstring(to_junit(run).encode())


def test_counts_and_times_are_on_every_suite_and_on_the_whole() -> None:
    whole = read(RUN)

    assert whole.attrib | {"name": ""} == {
        "name": "", "tests": "9", "failures": "4", "errors": "1", "skipped": "2", "time": "1.750",
    }  # fmt: skip
    for suite in whole:
        assert int(suite.attrib["tests"]) == len(suite.findall("testcase"))
        assert {"name", "tests", "failures", "errors", "skipped", "time"} == set(suite.attrib)
    assert [suite.attrib["name"] for suite in whole] == ["m/a", "m/b", "recipes", "baseline", "known failures"]


def test_the_times_of_cases_add_up_to_those_of_their_suites() -> None:
    for suite in read(RUN):
        cases = [float(case.attrib["time"]) for case in suite]
        assert sum(cases) == pytest.approx(float(suite.attrib["time"]))


def test_every_case_has_a_class_and_a_name_of_its_own() -> None:
    cases = [(case.attrib["classname"], case.attrib["name"]) for case in read(RUN).iter("testcase")]

    assert len(set(cases)) == len(cases)
    assert all(all(pair) for pair in cases)


def test_a_failure_names_its_kind_and_says_all_that_the_terminal_says() -> None:
    (failure,) = (one for one in read(RUN).iter("failure") if one.attrib["type"] == "ParameterMoved")

    assert failure.attrib["message"] == "failed: moved <b>"
    assert failure.text is not None
    assert "expected  same" in failure.text
    assert "seen      moved <b>" in failure.text
    assert "again     harness run s.yaml -k frozen" in failure.text


def test_every_outcome_has_a_message_and_a_type() -> None:
    outcomes = [one for tag in ("failure", "error", "skipped") for one in read(RUN).iter(tag)]

    assert all(one.attrib["message"] and one.attrib["type"] for one in outcomes)
    assert len(outcomes) == 7


def test_the_same_results_in_any_order_give_the_same_bytes() -> None:
    assert to_junit(RUN) == to_junit(replace(RUN, results=RUN.results[::-1]))


def test_of_very_many_failures_some_are_in_full_and_all_have_a_message() -> None:
    results = tuple(Result("m/a", f"c{n}", Status.FAILED, "1 finding", (MOVED,)) for n in range(MOST_IN_FULL + 5))

    failures = list(read(RunReport(results)).iter("failure"))

    assert len(failures) == MOST_IN_FULL + 5
    assert {one.attrib["message"] for one in failures} == {"failed: moved <b>"}
    assert sum("results.jsonl" in str(one.text) for one in failures) == 5
