"""A traced command costs what its intent says, or more, or that cannot be told: never is it passed unknown."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.result import Result
from tests.tracing.conftest import HERE, Ran, run_many

MIB = 2**20
SPEED, MEMORY = "steps_within_budget", "memory_within_limit"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    place = tmp_path_factory.mktemp("costs")
    script = str(HERE / "ways" / "costly.py")
    names = ["", "sleeps", "keeps"]
    jobs = [
        {"script": script, "directory": str(place / f"c{n}"), "traced": True, "arguments": [name]}
        for n, name in enumerate(names)
    ]
    return dict(zip(names, run_many(jobs), strict=True))


def costs(one: Ran) -> dict[str, Any]:
    facts: dict[str, Any] = one.trace.measured["costs"]
    return facts


def judged(trace: Path, check: str, **budget: Any) -> Result:
    results = {one.check: one for one in harness.check(trace, {"budget": budget})}
    return results[check]


def test_a_run_within_its_budget_passes(ran: dict[str, Ran]) -> None:
    facts, place = costs(ran[""]), ran[""].trace.directory

    assert (len(facts["seconds"]), facts["optimizers"]) == (11, 1)
    times = {"seconds_per_step": 60, "samples_per_second": 0.01, "tokens_per_second": 0.1}
    assert judged(place, SPEED, device=facts["device"], **times).status.value == "passed"
    assert judged(place, MEMORY, memory=facts["memory"]["peak"]).status.value == "passed"


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        ({"seconds_per_step": 0.02}, "at most 0.02 s a step"),
        ({"samples_per_second": 200}, "at least 200 samples a second"),
        ({"tokens_per_second": 1600}, "at least 1600 tokens a second"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_steps_that_take_too_long_are_found(ran: dict[str, Ran], budget: dict[str, float], expected: str) -> None:
    result = judged(ran["sleeps"].trace.directory, SPEED, device=costs(ran["sleeps"])["device"], **budget)

    assert result.status.value == "failed"
    (finding,) = result.findings
    assert (finding.kind, finding.expected) == ("TooSlow", expected)


def test_memory_that_grows_is_found(ran: dict[str, Ran]) -> None:
    most = costs(ran[""])["memory"]["peak"] + 100 * MIB

    result = judged(ran["keeps"].trace.directory, MEMORY, memory=most)

    assert result.status.value == "failed"
    assert [one.kind for one in result.findings] == ["TooMuchMemory"]


def test_nothing_is_asked_without_an_intent_or_a_budget(ran: dict[str, Ran]) -> None:
    place = ran[""].trace.directory

    assert not {one.check for one in harness.check(place)} & {SPEED, MEMORY}
    reasons = {one.check: one.reason for one in harness.check(place, {"precision": "fp32"})}
    assert reasons[SPEED] == "the intent does not say how long a step may take"
    assert reasons[MEMORY] == "the intent does not say how much memory it may take"


def _few(facts: dict[str, Any]) -> None:
    for name in ("steps", "seconds", "looking"):
        del facts[name][6:]


def _apart(facts: dict[str, Any]) -> None:
    facts["seconds"] = [0.5, 1.5] * 5 + [1.0]


def _disturbed(facts: dict[str, Any]) -> None:
    facts.update(seconds=[2.0] * 11, window=22.0, waited=12.0)


def _looked_at(facts: dict[str, Any]) -> None:
    facts.update(seconds=[1.1] * 11, looking=[0.2] * 11)


UNTOLD: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "elsewhere": (lambda facts: facts.update(device="cuda: another"), "it ran on cuda: another; the budget is of"),
    "few": (_few, "4 steps after the warm-up: too few to tell"),
    "apart": (_apart, "too noisy to tell: between 0.5 s a step and 1.5 s a step, and 1 s a step is asked for"),
    "others": (
        _disturbed,
        "too noisy to tell: between 2 s a step and 2 s a step while others had the processor for 55%",
    ),
    "looking": (_looked_at, "too noisy to tell: between 0.9 s a step and 1.1 s a step, and 1 s"),
    "several": (lambda facts: facts.update(optimizers=2), "2 optimizers step in turn"),
}


@pytest.mark.parametrize("name", UNTOLD)
def test_what_cannot_be_told_is_not_comparable(ran: dict[str, Ran], name: str, tmp_path: Path) -> None:
    change, reason = UNTOLD[name]
    device = costs(ran[""])["device"]

    result = judged(_changed(ran[""], change, tmp_path), SPEED, device=device, seconds_per_step=1.0)

    assert result.status.value == "not_comparable"
    assert result.reason.startswith(reason)


def test_what_was_not_measured_is_not_comparable(ran: dict[str, Ran], tmp_path: Path) -> None:
    place = _changed(ran[""], lambda facts: None, tmp_path)
    (place / "rank-0" / "measured.json").unlink()
    untold = judged(place, SPEED, device="cpu", seconds_per_step=9), judged(place, MEMORY, memory="9 GiB")
    own = _changed(ran[""], lambda facts: facts["memory"].update(peak=100 * MIB, held=50 * MIB), tmp_path / "own")

    assert [one.status.value for one in untold] == ["not_comparable"] * 2
    result = judged(own, MEMORY, memory="60 MiB")
    assert (result.status.value, result.reason) == (
        "not_comparable",
        "100 MiB with up to 50 MiB of the recorder's own, and 60 MiB is the most",
    )
    assert judged(own, MEMORY, memory="40 MiB").status.value == "failed"


def test_one_statement_that_cannot_be_told_hides_no_other(ran: dict[str, Ran], tmp_path: Path) -> None:
    place = _changed(ran["sleeps"], lambda facts: None, tmp_path)
    events = place / "rank-0" / "events.jsonl"
    events.write_text(events.read_text().replace('"lengths"', '"other"'))
    device = costs(ran["sleeps"])["device"]

    alone = judged(place, SPEED, device=device, tokens_per_second=1)
    both = judged(place, SPEED, device=device, tokens_per_second=1, seconds_per_step=0.02)

    assert alone.reason == "0 steps after the warm-up of which it is known how many tokens they had: too few to tell"
    assert [one.expected for one in both.findings] == ["at most 0.02 s a step"]


def test_a_run_that_was_recorded_without_its_costs_is_not_comparable(tmp_path: Path) -> None:
    import torch

    with harness.record(tmp_path / "trace"):
        model = torch.nn.Linear(2, 1)
        model(torch.ones(1, 2)).sum().backward()
        torch.optim.SGD(model.parameters(), lr=0.1).step()

    assert judged(tmp_path / "trace", MEMORY, memory="9 GiB").status.value == "not_comparable"


def _changed(one: Ran, change: Callable[[dict[str, Any]], object], to: Path) -> Path:
    """A copy of a trace with other costs, of steps that nothing came between."""
    place = Path(shutil.copytree(one.trace.directory, to / "trace"))
    file = place / "rank-0" / "measured.json"
    facts = json.loads(file.read_text())
    facts["costs"].update(waited=0.0, looking=[0.0] * 11)
    change(facts["costs"])
    file.write_text(json.dumps(facts))
    return place
