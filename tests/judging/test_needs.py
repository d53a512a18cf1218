"""What a check needs: said in the same words wherever it is missing, and whose code the evidence rests on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.checks import CHECKS, Check
from harness.checks.judging import judge
from harness.checks.needs import Base, Need, Partner, Reload
from harness.checks.scaler_variants import variant
from harness.intent import Intent
from harness.result import Finding, Status
from harness.trace.reader import Trace

Evidence = Any
ERROR = Finding("a", "b", "c")


def made(*findings: Finding, needs: tuple[Need, ...] = ()) -> Check:
    return Check("made", "", "", needs, lambda intent, trace: iter(findings))


def test_a_run_that_ended_early_has_saved_nothing(evidence: Evidence) -> None:
    evidence.stream.clear()
    intent = Intent.model_validate(evidence.intent)
    assert Reload.missing(intent, evidence.trace()) == "no process loaded the saved directory"

    evidence.drop("closing")
    assert Reload.missing(intent, evidence.trace()) == "nothing was saved"


def test_partners_of_equal_changes_are_one(evidence: Evidence) -> None:
    one, same, other = (Partner(name="p", changes={"seed": seed, "steps": 1}) for seed in (1, 1, 2))

    assert {one, same} == {one}
    assert len({one, same, other, Partner(name="q", changes=one.changes)}) == 3
    assert len({hash(one), hash(same), hash(other)}) == 2, "those that differ are told apart without comparing"


def in_one_way(recipe: Any) -> dict[str, Any]:
    return {"seed": recipe.seed}


def test_partners_whose_changes_are_worked_out_are_one_by_what_works_them_out() -> None:
    one, same, other = (Partner(name="p", changes=how) for how in (in_one_way, in_one_way, lambda recipe: {}))

    assert {one, same} == {one}
    assert one != other
    assert one.changes_of(SimpleNamespace(seed=3)) == {"seed": 3}
    assert Partner(changes={"seed": 4}).changes_of(SimpleNamespace(seed=3)) == {"seed": 4}


ALONE = {"agrees_with": [], "save": {"what": "nothing"}}


@pytest.mark.parametrize(
    ("check", "changes"),
    [
        ("accumulation_equals_one_batch", {"optimizer.accumulation": 1, "data.batch_size": 6}),
        ("processes_equal_one", {"processes": 1, "data.batch_size": 8, "launch": {}}),
        ("checkpointing_changes_nothing", {"checkpointing": False}),
        ("precision_changes_little", {"precision": "fp32", "loss_scaler": {}}),
        ("lazy_equals_eager", {"data.lazy": False}),
    ],
)
def test_another_way_of_making_a_run_differs_in_that_way_alone(check: str, changes: dict[str, Any]) -> None:
    recipe: Any = SimpleNamespace(
        optimizer=SimpleNamespace(accumulation=3), data=SimpleNamespace(batch_size=2), processes=4
    )
    (partner,) = CHECKS[check].partners

    assert partner.changes_of(recipe) == {**changes, **ALONE}


def test_a_variant_is_one_cheap_step_at_another_precision() -> None:
    short = {"steps": 1, "optimizer.warmup_steps": 0, "interrupted_after": None}
    changes = {"precision": "bf16", **short, **ALONE}

    assert variant("bf16") == Partner(name="scaler_bf16", changes=changes)


@pytest.mark.parametrize(
    ("save", "findings", "reason"),
    [
        ({"loader": "my:load"}, (), "loaded by my:load"),
        ({"processor_loader": "my:processor"}, (), "loaded by my:processor"),
        ({"loader": "my:load", "processor_loader": "my:processor"}, (), "loaded by my:load and my:processor"),
        ({"loader": "my:load"}, (ERROR,), "1 finding; loaded by my:load"),
        ({"loader": None}, (), ""),
    ],
)
@pytest.mark.parametrize("need", [Reload, Base], ids=["saved", "base"])
def test_whose_code_loaded_a_directory_is_said(
    evidence: Evidence, save: dict[str, Any], findings: tuple[Finding, ...], reason: str, need: Need
) -> None:
    evidence.header["recipe"] = {"save": save}
    intent = Intent.model_validate(evidence.intent)

    assert judge(made(*findings, needs=(need,)), "r", intent, evidence.trace()).reason == reason
    assert "loaded by" not in judge(made(*findings), "r", intent, evidence.trace()).reason


@pytest.mark.parametrize(
    ("check", "other", "name", "here", "there"),
    [
        (
            "accumulation_equals_one_batch",
            "one-batch",
            "in_one_batch",
            {"optimizer": {"accumulation": 2}, "data": {"batch_size": 1}},
            {"optimizer": {"accumulation": 1}, "data": {"batch_size": 2}},
        ),
        (
            "processes_equal_one",
            "one-process",
            "in_one_process",
            {"processes": 2, "data": {"batch_size": 1}, "launch": {"timeout": 9}},
            {"processes": 1, "data": {"batch_size": 2}, "launch": {}},
        ),
        (
            "checkpointing_changes_nothing",
            "no-checkpointing",
            "without_checkpointing",
            {"checkpointing": True},
            {"checkpointing": False},
        ),
        (
            "precision_changes_little",
            "fp32",
            "in_fp32",
            {"precision": "fp16", "loss_scaler": {"init_scale": 2}},
            {"precision": "fp32", "loss_scaler": {}},
        ),
    ],
)
def test_a_partner_is_of_the_same_experiment_though_its_setting_is_another(
    evidence: Evidence, check: str, other: str, name: str, here: dict[str, Any], there: dict[str, Any]
) -> None:
    asked = {"agrees_with": [other], "save": {"what": "adapter"}}
    evidence.intent["agrees_with"] = [other]
    evidence.header["recipe"] = {**here, **asked}
    header = {**evidence.header, "recipe": {**there, "agrees_with": [], "save": {"what": "nothing"}}}
    partner = Trace(evidence.directory, header, evidence.events)

    result = judge(CHECKS[check], "r", Intent.model_validate(evidence.intent), evidence.trace(), {name: partner})

    assert (result.status, result.findings) == (Status.PASSED, ())
