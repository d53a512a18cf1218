"""The numbers that a recipe promises of an adapter's layers are those that peft gives them."""

from __future__ import annotations

from typing import Any

import pytest

from harness.families import family
from harness.recipe import Recipe
from harness.recording.adapted import adapter_facts
from harness.seams import Seams
from harness.tuning import tune

NAME = "llava-1.5-7b"
TARGETS = r".*language_model\..*\.q_proj"


@pytest.mark.parametrize(
    ("method", "options", "names"),
    [
        ("adalora", {"total_step": 4}, {"r", "scaling", "dropout"}),
        ("adalora", {"total_step": 4, "init_r": 5, "lora_alpha": 7, "lora_dropout": 0.25}, {"r", "scaling", "dropout"}),
        ("loha", {}, {"r", "scaling"}),
        ("loha", {"r": 4, "alpha": 2}, {"r", "scaling"}),
        ("lokr", {"r": 4, "alpha": 12}, {"r", "scaling"}),
        ("vera", {}, {"r"}),
        ("vera", {"r": 12}, {"r"}),
        ("oft", {"oft_block_size": 8}, {"oft_block_size"}),
        ("boft", {"boft_block_size": 8}, {"boft_block_size"}),
        ("ia3", {"feedforward_modules": []}, set()),
    ],
)
def test_they_are_what_the_layers_say(method: str, options: dict[str, Any], names: set[str]) -> None:
    adapter = {"method": method, "targets": TARGETS, "options": options}
    recipe = Recipe.model_validate({"family": NAME, "adapter": adapter})
    intent = family(NAME).intent(recipe)
    model = family(NAME).meta_model("tiny").to_empty(device="cpu")

    layers = [facts for m in tune(model, recipe, family(NAME), Seams()).modules() if (facts := adapter_facts(m))]
    assert intent.adapter is not None
    assert set(intent.adapter.numbers) == names
    assert all(facts[name]["default"] == value for facts in layers for name, value in intent.adapter.numbers.items())
    assert bool(layers) or not names
