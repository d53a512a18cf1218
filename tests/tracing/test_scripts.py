"""Healthy scripts of many kinds give no finding, without any intent; one defect in each is found."""

from __future__ import annotations

import filecmp
from pathlib import Path

import pytest

import harness
from tests.tracing.conftest import SCRIPTS, Ran, run_many

DEFECTS: dict[str, tuple[str, str, str]] = {
    "accumulating": ("divided by another number", "accumulation_consistent", "OtherShare"),
    "classifier": ("nothing zeroed", "gradients_fresh", "StaleGradients"),
    "closure": ("nothing zeroed", "gradients_fresh", "StaleGradients"),
    "compiled": ("optimizer of another copy", "trained_is_used", "NeverUsed"),
    "ema": ("never averaged", "trained_values_saved", "SavedAsBegun"),
    "finetune": ("other names", "loads_arrive", "LoadedNothing"),
    "frozen_tower": ("tower decays", "frozen_stays", "FrozenStepped"),
    "gan": ("critic not zeroed", "gradients_fresh", "StaleGradients"),
    "gradient_penalty": ("zeroed between", "gradients_fresh", "GradientsLost"),
    "graph": ("every label masked", "labels_count", "NothingLearned"),
    "lora": ("optimizer before the adapter", "optimizer_holds_trained_once", "MadeAfterOptimizer"),
    "mixed_precision": ("no scaler", "scaler_fits", "ScalerMissing"),
    "reinforcement": ("baseline cut off", "trained_is_used", "NeverUsed"),
    "rnn": ("clipped too late", "steps_in_order", "StepOutOfOrder"),
    "streamed": ("nothing shared out", "workers_share_data", "WorkersRepeat"),
    "unfreezing": ("thawed for nobody", "optimizer_holds_trained_once", "ThawedForNobody"),
    "vae": ("logarithm of a negative", "losses_are_numbers", "LossNotANumber"),
}
APPLIED = 8  # universal checks at least, that a healthy script is held against


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Ran]:
    """Each script three times: traced, not traced, and traced with its defect."""
    place = tmp_path_factory.mktemp("scripts")
    names = [(name, kind) for name in DEFECTS for kind in ("healthy", "plain", "defect")]
    jobs = [
        {
            "script": str(SCRIPTS / f"{name}.py"),
            "directory": str(place / f"{name}-{kind}"),
            "traced": kind != "plain",
            "arguments": [DEFECTS[name][0]] if kind == "defect" else [],
        }
        for name, kind in names
    ]
    return dict(zip(names, run_many(jobs), strict=True))


def test_every_script_has_a_defect() -> None:
    assert {path.stem for path in SCRIPTS.glob("*.py")} == set(DEFECTS)
    assert len(DEFECTS) >= 13


@pytest.mark.parametrize("name", DEFECTS)
def test_a_healthy_script_is_silent(ran: dict[tuple[str, str], Ran], name: str) -> None:
    one = ran[name, "healthy"]
    assert one.status == 0, one.printed
    results = one.results()

    told = {check: (result.reason, result.findings) for check, result in results.items() if _wrong(result.status.value)}
    assert not told
    assert sum(result.status.value == "passed" for result in results.values()) >= APPLIED


@pytest.mark.parametrize("name", DEFECTS)
def test_its_defect_is_found(ran: dict[tuple[str, str], Ran], name: str) -> None:
    _, check, kind = DEFECTS[name]
    results = ran[name, "defect"].results()

    assert results[check].status.value == "failed", results[check]
    assert {finding.kind for finding in results[check].findings} == {kind}
    assert results["run.completed"].status.value == "passed"


@pytest.mark.parametrize("name", DEFECTS)
def test_tracing_changes_no_number(ran: dict[tuple[str, str], Ran], name: str) -> None:
    traced, plain = ran[name, "healthy"], ran[name, "plain"]

    assert traced.printed == plain.printed
    assert plain.printed.strip()
    files = [path.name for path in plain.directory.glob("*.pt")]
    assert filecmp.cmpfiles(plain.directory, traced.directory, files, shallow=False)[0] == files
    assert files or name == "graph"


def test_a_script_that_is_not_traced_leaves_nothing(ran: dict[tuple[str, str], Ran]) -> None:
    assert not (Path(ran["gan", "plain"].directory) / "out").exists()


def _wrong(status: str) -> bool:
    return status not in ("passed", "not_applicable")


def test_what_the_intent_calls_out_of_reach_is_not_missed(ran: dict[tuple[str, str], Ran]) -> None:
    from harness.checks.universal import judge_script
    from harness.intent import Intent

    trace = ran["reinforcement", "defect"].trace

    def said(*out_of_reach: str) -> str:
        results = {one.check: one for one in judge_script("r", trace, intent=Intent(out_of_reach=out_of_reach))}
        return results["trained_is_used"].status.value

    assert said() == "failed"
    assert said(r"policy\.") == "failed"
    assert said(r"value\.") == "passed"


def test_a_model_that_was_given_parts_late_is_held_against_an_intent_as_it_became(
    ran: dict[tuple[str, str], Ran],
) -> None:
    healthy, defect = ran["lora", "healthy"].trace, ran["lora", "defect"].trace
    intent = {"components": {"language": ["0", "2"]}, "trainable": ["down", "up"]}

    assert defect.replaced
    assert {p.path for p in defect.parameters} == {p.path for p in healthy.parameters}
    for trace, failed in (
        (healthy, set()),
        (defect, {"optimizer_holds_trainables_once", "trainable_parameters_moved"}),
    ):
        results = harness.check(trace.directory, intent)
        assert {one.check for one in results if one.status.value == "failed"} - {
            "optimizer_holds_trained_once"
        } == failed
