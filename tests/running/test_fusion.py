"""The published way round an adapter of another model: one of text merged into this one, then images and text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from harness.recipe import Recipe, read_suite
from harness.refusal import Refused

SUITE = Path(__file__).parents[2] / "suites" / "minicpm_v.yaml"
PROJECTIONS = r"llm\.model\.layers\.\d+\.self_attn\.[qkvo]_proj\.weight"


def tensors_of(directory: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return {key: value for path in directory.glob("*.safetensors") for key, value in load_file(path).items()}


def test_the_next_stage_starts_from_the_merged_model_and_its_alignment_is_told(make: Any, bases: Path) -> None:
    import torch

    recipe = read_suite(SUITE).recipes["fusion-images-and-text"]

    trace = make(recipe)

    (told,) = (event for event in trace.of("probe") if event["name"] == "alignment")
    assert -1 <= told["before"] <= 1
    assert told["before"] != told["after"]
    (merged,) = (path for path in bases.glob(f"{recipe.family}*/merged") if (path / "config.json").is_file())
    fresh = tensors_of(bases / "minicpm-llama3-v-2.5")
    after = tensors_of(merged)
    assert after.keys() == fresh.keys()
    differ = {key for key in fresh if not torch.equal(fresh[key], after[key])}
    assert differ == {key for key in fresh if re.fullmatch(PROJECTIONS, key)}
    assert (merged / "processing_minicpmv.py").is_file()


def test_an_adapter_that_changes_nothing_is_not_merged(tmp_path: Path) -> None:
    import peft
    import torch

    from harness import stack
    from harness.families import family
    from harness.making.merging import merged_into

    stack.quiet()
    base = tmp_path / "base"
    base.mkdir()
    llava = family("llava-1.5-7b")
    llava.write_base(base)
    model = peft.get_peft_model(
        llava.load(base, torch.float32).model, peft.LoraConfig(r=2, target_modules=r".*language_model.*\.q_proj")
    )
    model.save_pretrained(tmp_path / "adapter")

    with pytest.raises(Refused, match=r"start_from\.merge: merged, .* changes nothing"):
        merged_into(tmp_path / "merged", llava, base, tmp_path / "adapter")


@pytest.mark.parametrize(
    ("first", "refusal"),
    [
        pytest.param("{tune: [connector]}", "first leaves no adapter", id="a whole model"),
        pytest.param(
            "{tune: [connector], lora: {rank: 2}, save: {beside_adapter: non_lora_trainables.bin}}",
            "is not all that is laid over its base",
            id="more than an adapter",
        ),
    ],
)
def test_what_cannot_be_merged_is_refused(first: str, refusal: str, tmp_path: Path) -> None:
    suite = tmp_path / "stages.yaml"
    second = "{tune: [connector], start_from: {recipe: first, merge: adapter}}"
    suite.write_text(f"family: llava-1.5-7b\nrecipes:\n  first: {first}\n  second: {second}\n")

    with pytest.raises(Refused, match=refusal):
        read_suite(suite)


def test_a_merged_adapter_is_a_whole_model_to_start_from(tmp_path: Path) -> None:
    from harness.recipe.starting import base_and_parts, merges

    suite = tmp_path / "stages.yaml"
    second = "{tune: [connector], start_from: {recipe: first, merge: adapter}}"
    suite.write_text(f"family: llava-1.5-7b\nrecipes:\n  first: {{lora: {{rank: 2}}}}\n  second: {second}\n")

    recipe = read_suite(suite).recipes["second"]

    assert merges(recipe)
    assert not merges(Recipe(family="llava-1.5-7b", tune="connector"))
    assert base_and_parts(recipe) == (recipe.start_from, ())
