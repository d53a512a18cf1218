"""Batches that are made late are those that are made early, to the bit, and no more than one step's are ever held."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from harness.making.micro_batches import MadeLate, fed
from harness.recipe import Recipe
from harness.trace.nested import tensors_in

MIX = ["image", "several", "text", "text"]


def recipe(name: str, **data: Any) -> Recipe:
    settings = {
        "tune": ["connector", "llm"],
        "optimizer": {"accumulation": 2},
        "data": {"mix": MIX, "batch_size": 2, **data},
    }
    return Recipe.model_validate({"family": name, "trust_remote_code": True, "steps": 3, **settings})


@pytest.fixture(params=["llava", "minicpm"])
def both(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """A family and its model."""
    prefix = "" if request.param == "llava" else "minicpm_"
    return request.getfixturevalue(request.param), request.getfixturevalue(f"{prefix}loaded")


def test_late_and_early_batches_are_the_same(both: tuple[Any, Any]) -> None:
    family, loaded = both
    early, late = (fed(recipe(family.name, lazy=lazy), family, loaded) for lazy in (False, True))

    assert isinstance(late.steps, MadeLate)
    assert early.facts == late.facts
    assert len(early.steps) == len(late.steps) == 3
    for made, remade in zip(early.steps, late.steps, strict=True):
        assert [list(batch) for batch in made] == [list(batch) for batch in remade]
        pairs = zip(tensors_in(made), tensors_in(remade), strict=True)
        assert all(torch.equal(a, b) and a.dtype == b.dtype for a, b in pairs)


def test_what_is_held_is_stated(both: tuple[Any, Any]) -> None:
    family, loaded = both
    early, late = (fed(recipe(family.name, lazy=lazy), family, loaded) for lazy in (False, True))
    by_step = [sum(tensor.nbytes for tensor in tensors_in(step)) for step in early.steps]

    assert early.bytes_held == sum(by_step)
    assert late.bytes_held == max(by_step) < early.bytes_held


def test_a_step_is_made_anew_whenever_it_is_asked_for(both: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    family, loaded = both
    late = fed(recipe(family.name, lazy=True), family, loaded)
    asked: list[Path] = []
    monkeypatch.setattr(type(family), "collate", lambda family, encoded, processor: asked.append(encoded) or {})

    assert asked == []
    assert late.steps[1] == [{}, {}]
    assert len(asked) == 2
    assert late.steps[1:3] == [[{}, {}]] * 2
    assert len(asked) == 6
