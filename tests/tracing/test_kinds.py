"""Healthy trainings that are easily taken for something else give no finding, and what is wrong with some does."""

from __future__ import annotations

import pytest

from harness.tracing.collecting import seen
from tests.tracing.conftest import HERE, Ran, run_many

HEALTHY = (
    "two gradients a step",
    "two gradients in a closure",
    "gradients of each task",
    "a step given up",
    "zeroed in turn",
    "a step for each parameter",
    "targets now and then",
    "averaged by a hook",
    "a queue",
    "the reference is kept",
    "scripted",
    "tensors alone",
    "of a copy",
    "one after the other",
    "workers that stay",
    "workers that draw",
    "a head that grows",
    "attacked",
    "a mean over a step",
    "two losses",
    "another dtype later",
    "parametrised later",
    "clamped",
    "a state that goes on",
    "what is left of an epoch",
    "saved without its name",
    "frozen later",
    "adapted later",
)
DEFECTS = {
    "frozen later: and moved on": ("frozen_stays", "FrozenStepped"),
    "adapted later: and frozen in part before": ("frozen_stays", "FrozenStepped"),
    "what is left of an epoch: and not divided": ("accumulation_consistent", "OtherShare"),
    "tensors alone: offset left out": ("trained_is_used", "NeverUsed"),
    "workers that draw: alike": ("workers_share_data", "WorkersRepeat"),
}

TOLD = ("failed", "warned", "blocked")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, bool], Ran]:
    """Each traced and not, and each defect traced."""
    place = tmp_path_factory.mktemp("kinds")
    names = [(name, traced) for name in HEALTHY for traced in (True, False)] + [(name, True) for name in DEFECTS]
    jobs = [
        {
            "script": str(HERE / "ways" / "kinds.py"),
            "directory": str(place / f"{number}"),
            "traced": traced,
            "arguments": [name],
        }
        for number, (name, traced) in enumerate(names)
    ]
    return dict(zip(names, run_many(jobs), strict=True))


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_training_is_silent_and_as_it_was(ran: dict[tuple[str, bool], Ran], name: str) -> None:
    traced, plain = ran[name, True], ran[name, False]

    assert plain.status == traced.status == 0, traced.printed
    assert traced.printed == plain.printed != ""
    results = traced.results().values()
    told = [
        (one.check, one.reason, one.findings) for one in results if one.status.value in ("failed", "warned", "blocked")
    ]
    assert not told
    assert sum(one.status.value == "passed" for one in results) >= 8


@pytest.mark.parametrize("name", DEFECTS)
def test_what_is_wrong_is_found(ran: dict[tuple[str, bool], Ran], name: str) -> None:
    check, kind = DEFECTS[name]
    assert ran[name, True].status == 0, ran[name, True].printed
    results = ran[name, True].results()

    assert {finding.kind for finding in results[check].findings} == {kind}
    assert [one.check for one in results.values() if one.status.value in TOLD] == [check]


def test_a_copy_and_what_was_read_whole_are_models_as_others_are(ran: dict[tuple[str, bool], Ran]) -> None:
    trace = ran["of a copy", True].trace

    assert len(trace.of("model")) == 2
    assert len(trace.steps) == 8


def test_models_that_a_script_is_done_with_are_let_go_and_told(ran: dict[tuple[str, bool], Ran]) -> None:
    """Else a search over settings would take longer from one to the next, and hold all models in memory."""
    trace = ran["one after the other", True].trace
    looked = [len(step["values"]) for step in trace.steps]

    assert len(trace.of("final")) == len(trace.of("model")) == 12
    assert len({record["model"] for record in trace.of("model")}) == 12
    assert len({step["optimizer"] for step in trace.steps}) == 12
    assert max(looked) < 7
    assert seen(trace).startswith("12 times Sequential (4 parameters); 24 optimizer steps")


def test_a_step_within_a_step_is_one(ran: dict[tuple[str, bool], Ran]) -> None:
    trace = ran["two gradients in a closure", True].trace

    assert len(trace.steps) == 4
    assert {event["type"].rpartition(".")[2] for event in trace.of("optimizer")} == {"Perturbed"}
