"""Checks over several runs, of traces that somebody has recorded apart from each other."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

import harness
from harness.refusal import Refused
from tests.cli.conftest import call
from tests.face.conftest import INTENT, small_model
from tests.face.test_scalers import cpu, trained_under

__all__ = ["call"]
RULE = "scaler_rule_over_precisions"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
PROMISED = {**INTENT, "mechanisms": {"clip_norm": 1.0, "scaler_rule": "fp16"}}
CONDITIONS: dict[str, Callable[[torch.dtype], bool]] = {
    "right": lambda dtype: dtype == torch.float16,
    "both": lambda dtype: dtype in (torch.float16, torch.bfloat16),
    "true": lambda dtype: dtype == dtype,  # noqa: PLR0124 as it was really written
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Path]]:
    """By the condition under which a trainer turns its scaler on: one trace for each precision."""
    from tests.face.conftest import batch

    found: dict[str, dict[str, Path]] = {}
    for rule, condition in CONDITIONS.items():
        for precision, dtype in DTYPES.items():
            place = tmp_path_factory.mktemp(rule) / precision
            half = dtype != torch.float32
            autocast = partial(cpu, dtype) if half else contextlib.nullcontext
            scaler = partial(torch.amp.GradScaler, "cpu", enabled=condition(dtype))
            with harness.record(place, PROMISED):
                trained_under(autocast, scaler, batch).run(small_model())
            found.setdefault(rule, {})[precision] = place
    return found


def partners(traces: dict[str, Path]) -> dict[str, Path]:
    return {f"scaler_{precision}": place for precision, place in traces.items()}


def judged(results: Any) -> Any:
    (result,) = [result for result in results if result.check == RULE]
    return result


@pytest.mark.parametrize(
    ("rule", "status", "seen"),
    [
        ("right", "passed", []),
        ("both", "failed", ["dtype in (float16, bfloat16): on under bfloat16, float16"]),
        ("true", "failed", ["dtype == dtype, which is always true: on under float32, bfloat16, float16"]),
    ],
)
@pytest.mark.parametrize("looked_at", list(DTYPES))
def test_the_rule_that_fits_three_recorded_runs_is_named(runs, rule, status, seen, looked_at) -> None:
    traces = runs[rule]
    result = judged(harness.check(traces[looked_at], partners=partners(traces)))

    assert (result.status.value, [finding.seen for finding in result.findings]) == (status, seen)


def test_without_the_other_runs_the_check_is_left_out(runs) -> None:
    assert RULE not in {result.check for result in harness.check(runs["true"]["fp16"])}


def test_the_command_takes_them_too_and_says_how_to_repeat_it(runs, call) -> None:
    traces = runs["both"]
    given = [f"scaler_{precision}={place}" for precision, place in traces.items()]
    options = [word for one in given for word in ("--with", one)]

    shown, facts = call("check", traces["fp16"], *options), call("check", traces["fp16"], *options, "--json")

    again = " ".join(["harness check", str(traces["fp16"]), *options])
    assert shown.status == facts.status == 1
    assert f"FAILED  {RULE}" in shown.out.splitlines()
    assert f"  again     {again}" in shown.out.splitlines()
    assert {one["check"] for one in json.loads(facts.out) if one["status"] == "failed"} == {RULE}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--with", "scaler_fp16"], "--with 'scaler_fp16' is not written as NAME=TRACE; as in"),
        (["--with", "=somewhere"], "--with '=somewhere' is not written as NAME=TRACE; as in"),
        (["--with", "scaler_fp16="], "--with 'scaler_fp16=' is not written as NAME=TRACE; as in"),
        (["--with", "scaler_fp16=nowhere"], "nowhere: is not a trace"),
        (["--with", "scaler_fp16={fp16}", "--with", "scaler_fp16={bf16}"], "--with scaler_fp16 is given twice; give"),
        (["--with", "fp16={fp16}"], "no check takes a partner run 'fp16'; there are "),
        (
            ["--with", "scaler_fp16={fp16}"],
            "partner run scaler_fp16: scaler_rule_over_precisions takes scaler_fp32, scaler_bf16 too; give each",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(runs, call, options, said) -> None:
    traces = runs["right"]

    assert said in call("check", traces["fp16"], *[word.format(**traces) for word in options]).refusal


def test_runs_that_the_intent_does_not_call_for_are_refused(runs) -> None:
    traces = runs["right"]

    with pytest.raises(Refused, match=r"partner run scaler_fp32: scaler_rule_over_precisions does not apply: .*rule"):
        harness.check(traces["fp16"], INTENT, partners(traces))
