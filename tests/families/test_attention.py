"""How attention is computed: families that can be told are told, and reach what they say that they reach."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.families import family, names
from harness.families.family import components_of, reads_pictures
from harness.recipe import Recipe
from harness.recording.layers import attention_of
from harness.refusal import Refused


def asked(name: str) -> dict[str, str]:
    """What the family promises of a model that is told to be eager; nothing where it cannot be told."""
    kinds = ["image"] if reads_pictures(family(name)) else ["text"]
    settings = {"family": name, "trust_remote_code": True, "tune": "language", "precision": "fp16"}
    recipe = Recipe.model_validate({**settings, "data": {"mix": kinds, "batch_size": 1}})
    eager = recipe.model_copy(update={"attention": "eager"})
    assert not family(name).intent(recipe).mechanisms.attention
    try:
        return {str(one): how for one, how in family(name).intent(eager).mechanisms.attention.items()}
    except Refused:
        return {}


@pytest.mark.parametrize("name", names())
def test_a_family_that_promises_it_takes_it(name: str) -> None:
    told = "attention" in inspect.signature(family(name).load).parameters

    assert told == bool(asked(name))


@pytest.mark.parametrize(
    ("name", "reached", "kept"),
    [("llava", {"vision", "language"}, set()), ("minicpm", {"language"}, {"vision"})],
)
def test_it_reaches_what_the_family_says(name: str, reached: set[str], kept: set[str], request: Any) -> None:
    chosen: Any = request.getfixturevalue(name)
    base: Path = request.getfixturevalue("base" if name == "llava" else f"{name}_base")

    for how in ("eager", "sdpa"):
        model = chosen.load(base, torch.float32, how).model
        layers = attention_of(model.named_modules())
        ways = {(components_of(chosen, path), seen) for path, seen in layers.items()}
        assert ways == {(one, how) for one in reached} | {(one, "sdpa") for one in kept}
    assert set(asked(chosen.name)) == reached
