"""What loading, building, tuning and saving need by arithmetic, and where too much begins."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.checks.memory_phases import COARSE, Needed, needed_by_phase
from harness.intent import Intent
from harness.result import Status
from harness.trace.parameter import Parameter
from tests.judging.memory_specimens import ADDED, LOADED, OF_ONE, more, watched

Evidence = Any
CHECK = "memory_within_budget"
GIVEN = {"files": 1000, "buffers": 3, "laid over": 50, "buffers of adapters": 7}


def parameter(key: str, role: str, size: int, dtype: str = "float32") -> Parameter:
    return Parameter(0, key, key, "language", (size,), dtype, role, True, "", None, ())


MODEL = [
    parameter("language.a", "base", 100),
    parameter("embeddings.b", "original", 20),
    parameter("embeddings.b", "copy", 20),
    parameter("language.a.lora", "adapter", 5),
]


def needed(device: str = "cpu: a kind", parameters: list[Parameter] = MODEL, **intent: Any) -> dict[str, Needed]:
    paced: Any = SimpleNamespace(parameters=parameters)
    memory = {"device": device, "phases": {"given": GIVEN}}
    return needed_by_phase(Intent.model_validate({"adapter": {}, **intent}), paced, memory)


def test_weights_are_in_the_dtype_of_the_recipe_and_beside_their_files() -> None:
    assert needed()["load"] == Needed(480 + 3 + 1000, 480 + 3)
    assert needed(weights="bfloat16")["load"] == Needed(240 + 3 + 1000, 240 + 3)


def test_what_is_laid_over_and_what_has_grown_is_there_beside() -> None:
    assert needed()["build"] == Needed(100, 50)
    assert needed(resized=[r"embeddings\."])["build"] == Needed(80 + 100 + 2 * 80, 80 + 50)


def test_an_adapter_is_read_where_it_is_continued_and_the_model_arrives_on_a_gpu() -> None:
    assert needed()["tune"] == Needed(100 + 7, 100 + 7)
    assert needed(adapter={"continued": True})["tune"] == Needed(2 * 107, 107)
    assert needed(device="cuda: a kind")["tune"] == Needed(483 + 107, 483 + 107)


@pytest.mark.parametrize(
    ("save", "copied"),
    [
        ({"what": "full"}, 0),
        ({"what": "partial"}, 0),
        ({"what": "adapter"}, 100),
        ({"what": "adapter", "beside_adapter": "non_lora_trainables.bin"}, 100 + 400),
        ({"what": "projector", "holds": [r"language\.a$"]}, 400),
        ({"what": "native"}, 0),
        ({"what": "native", "half": True}, 2 * 145),
    ],
)
def test_what_saving_copies(save: dict[str, Any], copied: int) -> None:
    assert needed(save=save, trains=[r"language\.a$"])["save"] == Needed(copied, 0)


@pytest.mark.parametrize(
    ("phase", "when", "least", "has"),
    [
        ("load", "peak", 2 * LOADED, 2 * LOADED),
        ("load", "left", LOADED, LOADED),
        ("tune", "peak", ADDED, ADDED),
        ("save", "peak", ADDED, ADDED),
        ("save", "left", 0, 0),
        ("save", "resident", ADDED, -COARSE),
        ("load", "resident", 2 * LOADED, -COARSE // 2),
    ],
)
def test_too_much_begins_above_the_budget_and_one_tensor(
    evidence: Evidence, phase: str, when: str, least: int, has: int
) -> None:
    most = int(1.1 * least) + OF_ONE
    watched(more(phase, when, most - has))(evidence)
    assert evidence.judged(CHECK).status is Status.PASSED

    watched(more(phase, when, most - has + 1))(evidence)
    (finding,) = evidence.judged(CHECK).findings
    assert finding.kind == ("PhaseKeeps" if when == "left" else "PhasePeakTooHigh")
    assert finding.where == f"{phase}, on cpu: a kind"


@pytest.mark.parametrize("gone", ["load", "build", "tune", "given"])
def test_without_its_phases_a_run_was_not_watched(evidence: Evidence, gone: str) -> None:
    watched(lambda m: m["phases"].pop(gone))(evidence)

    assert evidence.judged(CHECK).status is Status.BLOCKED


def test_a_run_that_saves_nothing_has_no_phase_of_it(evidence: Evidence) -> None:
    watched(lambda m: m["phases"].pop("save"))(evidence)

    assert evidence.judged(CHECK).status is Status.PASSED
