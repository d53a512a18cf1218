"""Each kind of finding has a training that it is found in, and nothing else is."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pytest

from harness.checks.universal import UNIVERSAL
from harness.checks.universal.registry import MODULES
from harness.result import Finding
from tests.tracing.conftest import Ran, with_each_defect
from tests.tracing.test_scripts import DEFECTS as OF_SCRIPTS

DEFECTS: dict[str, tuple[str, str, str]] = {
    "tower written into": ("frozen_stays", "FrozenWritten", "failed"),
    "tower written into, late": ("frozen_stays", "FrozenWritten", "failed"),
    "put back": ("trained_moves", "TrainedStill", "failed"),
    "in bf16": ("trained_moves", "LostToRounding", "failed"),
    "bias left out": ("optimizer_holds_trained_once", "LeftOut", "warned"),
    "in two optimizers": ("optimizer_holds_trained_once", "HeldTwice", "warned"),
    "gradients are no numbers": ("gradients_are_numbers", "GradientNotANumber", "failed"),
    "gradients are no numbers, late": ("gradients_are_numbers", "WeightNotANumber", "failed"),
    "last gradient is no number, late": ("gradients_are_numbers", "WeightNotANumber", "failed"),
    "little is loaded": ("loads_arrive", "LoadedLittle", "warned"),
    "half a layer saved": ("trained_values_saved", "NotSaved", "failed"),
    "no head saved": ("trained_values_saved", "NotSaved", "warned"),
    "drops always": ("evaluation_repeats", "DropsInEvaluation", "failed"),
    "counts its passes": ("evaluation_repeats", "NotRepeatable", "failed"),
    "scheduled first": ("steps_in_order", "StepOutOfOrder", "failed"),
}
BESIDES = {
    "gradients are no numbers": {"WeightNotANumber", "LossNotANumber"},
    "gradients are no numbers, late": {"GradientNotANumber", "LossNotANumber"},
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    return with_each_defect("defects.py", tmp_path_factory.mktemp("defects"), [", late", *DEFECTS])


@pytest.mark.parametrize("name", ["", ", late"])
def test_without_a_defect_nothing_is_found(ran: dict[str, Ran], name: str) -> None:
    results = ran[name].results()

    assert not [one for one in results.values() if one.status.value not in ("passed", "not_applicable")]


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found(ran: dict[str, Ran], name: str) -> None:
    check, kind, status = DEFECTS[name]
    assert ran[name].status == 0, ran[name].printed
    results = ran[name].results()

    assert results[check].status.value == status
    assert kind in {finding.kind for finding in results[check].findings}
    found = {finding.kind for result in results.values() for finding in result.findings}
    assert found - {kind} <= BESIDES.get(name, set())
    assert all(one.expected and one.seen and one.where for result in results.values() for one in result.findings)


def test_what_comes_after_an_engine_was_made_is_held_by_nobody(ran: dict[str, Ran]) -> None:
    """DeepSpeed's engine steps its own copies: an adapter that comes late gets no columns, but is said to be there."""
    from harness.checks import CHECKS
    from harness.checks.universal import judge_script
    from harness.intent import Intent

    trace = ran[""].trace
    holds = next(one for one in CHECKS if one.name == "optimizer_holds_trainables_once")
    assert not any(one.kind == "NotInOptimizer" for one in holds.judge(Intent(), trace))
    trace.events.append({"kind": "late", "model": "model0", "parameters": ["body.lora_A.weight"]})

    results = {one.check: one for one in judge_script("late", trace)}

    assert [one.kind for one in results["optimizer_holds_trained_once"].findings] == ["MadeAfterOptimizer"]
    assert any(one.where == "body.lora_A.weight" for one in holds.judge(Intent(), trace))


def test_every_kind_of_finding_is_found_somewhere() -> None:
    modules = [importlib.import_module(f"harness.checks.universal.{name}") for name in MODULES]
    kinds = {
        name
        for module in modules
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Finding) and kind.__module__ == module.__name__
    }
    shown = {kind for _, _, kind in OF_SCRIPTS.values()} | {kind for _, kind, _ in DEFECTS.values()}
    shown |= {kind for kinds_besides in BESIDES.values() for kind in kinds_besides}

    processes = {"SameData", "Strangers", "LeftSilently"}
    reloading = {"NotAsSaved", "NotThere", "SavedEarly", "SavedRounded", "OtherOutputs"}
    costs = {"TooSlow", "TooMuchMemory"}
    assert kinds - shown == processes | reloading | costs


def test_every_universal_check_says_what_it_is_and_where_it_comes_from() -> None:
    assert len(list(UNIVERSAL)) == 24
    assert all(one.title and one.source for one in UNIVERSAL)


def test_the_order_of_the_checks_does_not_depend_on_what_is_imported_first() -> None:
    ask = "from harness.checks.universal import UNIVERSAL; print(*[one.name for one in UNIVERSAL])"
    last = f"import harness.checks.universal.{MODULES[-1]}"

    (plainly, after) = (
        subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True).stdout
        for lines in ([ask], [last, ask])
    )

    assert plainly == after != ""
