"""Prompts before LLaVA's text: they train alone, and the model's own parameters keep their published keys."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.families import check_possible, family
from harness.recipe import Recipe
from harness.recipe.fields import PROMPT_METHODS
from harness.recording.found import FoundModel
from harness.seams import Seams
from harness.trace.writer import StreamWriter
from harness.tuning import tune

NAME = "llava-1.5-7b"


def tuned(method: str) -> Any:
    adapter = {"method": method, "options": {"task_type": "CAUSAL_LM", "num_virtual_tokens": 2}}
    recipe = Recipe.model_validate({"family": NAME, "adapter": adapter})
    check_possible(recipe)
    model = family(NAME).meta_model("tiny").to_empty(device="cpu")
    for parameter in model.parameters():
        parameter.data.zero_()
    return tune(model, recipe, family(NAME), Seams())


@pytest.mark.parametrize("method", PROMPT_METHODS)
def test_what_stands_before_the_text_trains_and_nothing_else(method: str, tmp_path: Any) -> None:
    stream = StreamWriter(tmp_path)
    FoundModel("m", tuned(method)).describe(stream)
    stream.close()
    record = json.loads((tmp_path / "events.jsonl").read_text().splitlines()[1])

    roles = set(zip(record["role"], record["requires_grad"], strict=True))
    assert roles == {("base", False), ("adapter", True)}
    added = [path for path, role in zip(record["path"], record["role"], strict=True) if role == "adapter"]
    assert all(path.startswith("prompt_encoder.default.") for path in added)


@pytest.mark.parametrize("method", PROMPT_METHODS)
def test_the_model_s_own_keys_are_the_published_ones(method: str) -> None:
    naming = family(NAME).naming
    published = {naming.canonical(path) for path, _ in family(NAME).meta_model("tiny").named_parameters()}
    model = tuned(method)

    paths = [path for path, _ in model.named_parameters(remove_duplicate=False)]
    keys = {naming.canonical(path) for path in paths if not path.startswith("prompt_encoder.")}
    assert keys == published
