"""Types of the library as families, made from nothing that is written for one of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.data import Sample
from harness.families import family
from harness.refusal import Refused
from harness.stack import release

pytestmark = pytest.mark.skipif(release("transformers") < (5, 0), reason="the table is of transformers 5")
HERE = ("llava", "idefics2")  # those whose processors need no torchvision


@pytest.fixture(scope="module", params=HERE)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A family, and its tiny directory loaded."""
    import torch

    from harness import stack

    stack.quiet()
    chosen: Any = family(f"transformers:{request.param}")
    directory = tmp_path_factory.mktemp(request.param)
    chosen.write_base(directory)
    return chosen, chosen.load(directory, torch.float32)


def gradients(chosen: Any, loaded: Any, sample: Sample) -> dict[str, bool]:
    """By canonical key, whether any element of the parameter gets a gradient from a sample."""
    loaded.model.zero_grad()
    encoded = chosen.encode(sample, loaded.processor, 1 << 20)
    chosen.loss(loaded.model.train(), chosen.collate([encoded], loaded.processor)).backward()
    return {
        chosen.naming.canonical(path): bool(p.grad is not None and p.grad.any())
        for path, p in loaded.model.named_parameters()
    }


def test_gradient_reaches_all_but_what_the_intent_says_is_out_of_reach(made: Any, of_each_kind: Any) -> None:
    from harness.recipe import Recipe

    chosen, loaded = made
    intent = chosen.intent(Recipe(family=chosen.name, tune=["all"]))
    reached = gradients(chosen, loaded, of_each_kind["image"])
    assert {key for key, found in reached.items() if not found} == {key for key in reached if not intent.reaches(key)}


def test_components_are_every_parameter_once_and_none_is_left_over(made: Any) -> None:
    chosen, loaded = made
    found = {chosen.naming.component(chosen.naming.canonical(path)) for path, _ in loaded.model.named_parameters()}
    assert {"vision", "connector", "language", "embeddings"} <= found
    assert "other" not in found


def test_a_stranger_loads_the_directory_by_the_auto_classes(made: Any) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    chosen, loaded = made
    model = AutoModelForImageTextToText.from_pretrained(loaded.directory)
    assert type(model).__name__ == chosen.blueprint.classes.model
    processor = AutoProcessor.from_pretrained(loaded.directory)
    said = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}]
    text = processor.apply_chat_template(said, add_generation_prompt=True)
    assert chosen.fed_by.picture in text
    assert text.endswith("<|im_start|>assistant\n")


def test_text_alone_is_learned_from_too(made: Any, of_each_kind: Any) -> None:
    chosen, loaded = made
    reached = gradients(chosen, loaded, of_each_kind["text"])
    assert any(reached.values())


def test_a_configuration_of_ones_own_makes_the_same_family(tmp_path: Path) -> None:
    from transformers import LlavaConfig

    config = LlavaConfig(text_config={"model_type": "llama", "num_hidden_layers": 3}).to_dict()
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    chosen: Any = family(f"path:{tmp_path}")
    assert chosen.full.parts.depth["language"] == 3
    assert chosen.tiny.parts.depth["language"] == 2


def test_without_torchvision_a_type_that_needs_it_says_so() -> None:
    from harness import vision_transforms

    if vision_transforms.available():
        pytest.skip("torchvision is here")
    chosen: Any = family("transformers:qwen3_vl_moe")
    with pytest.raises(Refused, match="needs torchvision"):
        _ = chosen.processor
