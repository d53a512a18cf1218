"""Optimizers that are given the passes as a closure, and models inside a module of Lightning's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import harness
from tests.face.conftest import INTENT, STEPS, batch, small_model

ORDER = ("forward", "backward", "clip", "optimizer_step")


def lightning_module(model: Any) -> Any:
    """A module of Lightning's, as far as it can be told without Lightning."""
    from torch import nn

    class LightningModule(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model
            self.metric = nn.Identity()  # as metrics are: a part without parameters

    LightningModule.__module__ = "pytorch_lightning.core.module"
    LightningModule.__qualname__ = "LightningModule"
    return LightningModule()


def trained(directory: Path, optimizer_name: str, keyword: bool, wrapped: bool = False) -> list[dict[str, Any]]:
    """Record a training that steps by closures, and return its events."""
    import torch

    with harness.record(directory, INTENT):
        model = small_model()
        outer = lightning_module(model) if wrapped else model
        outer.train()
        model.vision.requires_grad_(False)
        model.language.requires_grad_(False)
        options = {"max_iter": 3} if optimizer_name == "LBFGS" else {}
        optimizer = getattr(torch.optim, optimizer_name)(model.connector.parameters(), lr=0.01, **options)
        for step in range(STEPS):

            def closure(step: int = step) -> torch.Tensor:
                optimizer.zero_grad()
                loss: torch.Tensor = model(**batch(step))["loss"]
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                return loss

            result = optimizer.step(closure=closure) if keyword else optimizer.step(closure)
            assert float(result.detach()) > 0  # the closure's own, as without a recorder
    return [json.loads(line) for line in (directory / "rank-0" / "events.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("keyword", [True, False], ids=["by keyword", "by place"])
@pytest.mark.parametrize("wrapped", [False, True], ids=["alone", "in Lightning's module"])
def test_a_healthy_training_by_closures_is_ok(tmp_path: Path, keyword: bool, wrapped: bool) -> None:
    events = trained(tmp_path, "AdamW", keyword, wrapped)

    results = harness.check(tmp_path)
    assert results.ok, str(results)
    steps = [[e["kind"] for e in events if e.get("step") == step and e["kind"] in ORDER] for step in range(STEPS)]
    assert steps == [list(ORDER)] * STEPS
    moved = [e for e in events if e["kind"] == "gradients" and e["moment"] == "optimizer"]
    assert len(moved) == STEPS
    assert all(any(one is not None for one in e["norm"]) for e in moved)  # seen when they were there


def test_a_model_in_lightnings_module_goes_by_its_own_names(tmp_path: Path) -> None:
    events = trained(tmp_path, "AdamW", keyword=True, wrapped=True)

    (parameters,) = [e for e in events if e["kind"] == "parameters"]
    assert parameters["path"][0] == "vision.0.weight"


def test_a_module_of_lightnings_with_parameters_of_its_own_is_the_model() -> None:
    from torch import nn

    from harness.recording.wrappers import inside_wrapper

    outer = lightning_module(small_model())
    outer.head = nn.Linear(2, 2)

    assert inside_wrapper(outer) is outer
    outer.head = nn.Identity()
    assert inside_wrapper(outer) is outer.model
    plain = nn.Sequential(nn.Linear(2, 2))
    assert inside_wrapper(plain) is plain


def test_a_closure_that_runs_several_times_within_a_step_begins_it_once(tmp_path: Path) -> None:
    events = trained(tmp_path, "LBFGS", keyword=False)

    kinds = [event["kind"] for event in events]
    assert kinds.count("forward") > STEPS
    assert kinds.count("optimizer_step") == STEPS
    assert len([e for e in events if e["kind"] == "gradients" and e["moment"] == "optimizer"]) == STEPS
