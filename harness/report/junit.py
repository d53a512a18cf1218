"""A report as JUnit XML: a test case per recipe and check, and one for everything else that fails a run."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as Xml

from harness.report.fields import errors_first, telling_reason
from harness.report.statuses import FAILING, label
from harness.report.terminal import failure_block
from harness.report.text import one_line, printable
from harness.verdict import outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.report.model import RunReport
    from harness.result import Result

COMPLETION = "run.completed"  # services add up the times of cases: a recipe's is that of the check on its run
_NO_TIME = "0.000"
MOST_IN_FULL = 2000  # failures with all that is said of them: services refuse files of tens of megabytes
_ELSEWHERE = "What else is said of this one is in results.jsonl."
_LONGEST, _LONGEST_MESSAGE = 8000, 500
NOT_XML = str.maketrans("", "", "\ufffe\uffff")


def to_junit(run: RunReport) -> str:
    """The whole report; an unfinished recipe is an error, so that half a run never reads as a whole one."""
    suites = Xml.Element("testsuites", name=_clean(run.title))
    full = {id(one) for one in list(_failing(run))[:MOST_IN_FULL]}
    for recipe, results in run.recipes.items():
        seconds = _seconds(run, recipe)
        suite = Xml.SubElement(suites, "testsuite", name=_clean(recipe), time=seconds)
        for result in results:
            case = _add_result(suite, result, outcome(result, results, strict=run.strict))
            case.set("time", seconds if result.check == COMPLETION else _NO_TIME)
            if (failure := case.find("failure")) is not None:
                failure.text = _block(result, run) if id(result) in full else _ELSEWHERE
    why = "not run: interrupted" if run.interrupted else "could not be judged"
    _add_others(suites, "recipes", run.not_judged, "error", why)
    _add_others(suites, "baseline", run.summary.missing, "failure", "judged in the baseline, not in this run")
    _add_others(suites, "known failures", run.unused, "failure", "matches nothing")
    for element in (*suites, suites):
        for name, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            element.set(name, str(sum(1 for _ in element.iter(tag))))
    suites.set("time", f"{sum(run.seconds.get(recipe, 0) for recipe in run.recipes):.3f}")
    Xml.indent(suites, " ")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{Xml.tostring(suites, encoding="unicode")}\n'


def _seconds(run: RunReport, recipe: str) -> str:
    return f"{run.seconds.get(recipe, 0):.3f}"


def _failing(run: RunReport) -> Iterator[Result]:
    return (one for results in run.recipes.values() for one in results if one.findings or one.status in FAILING)


def _block(result: Result, run: RunReport) -> str:
    return printable(failure_block(result, run.command_for(result))).translate(NOT_XML)[:_LONGEST]


def _message(result: Result) -> str:
    """What a service lists: the status, and the reason or what was seen first."""
    seen = next((one.seen for one in errors_first(result.findings) if one.seen), "")
    said = telling_reason(result) or seen or result.reason
    return _clean(f"{label(result.status)}: {said}" if said else label(result.status))[:_LONGEST_MESSAGE]


def _add_result(suite: Xml.Element, result: Result, came_out: str) -> Xml.Element:
    case = Xml.SubElement(suite, "testcase", classname=_clean(result.recipe), name=_clean(result.check))
    message = _message(result)
    if came_out == "failed":
        kind = next((one.kind for one in errors_first(result.findings)), result.status.value)
        Xml.SubElement(case, "failure", message=message, type=kind)
    elif came_out != "passed":
        Xml.SubElement(case, "skipped", message=message, type=came_out)
    return case


def _add_others(suites: Xml.Element, title: str, names: Iterable[str], tag: str, message: str) -> None:
    """What fails a run and is no result, a test case each."""
    names = list(names)
    suite = Xml.SubElement(suites, "testsuite", name=title, time=_NO_TIME) if names else suites
    for name in names:
        case = Xml.SubElement(suite, "testcase", classname=title, name=_clean(name), time=_NO_TIME)
        Xml.SubElement(case, tag, message=message, type=title)


def _clean(text: str) -> str:
    return one_line(text).translate(NOT_XML)
