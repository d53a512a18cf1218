"""MiniCPM-V 4.6 and 4.7: counts in closed form, the library's own classes and processor, and what they are told."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from harness import stack
from harness.data import SHIPPED, Sample, read_samples
from harness.families import check_possible, family
from harness.families.minicpm.v4 import names
from harness.families.minicpm.v4.dimensions import PUBLISHED, TINY
from harness.families.minicpm.v4.processing import CLOSE, OPEN, PICTURE
from harness.families.supervision import IGNORED_LABEL
from harness.planning import family_plan
from harness.recipe import Recipe
from harness.refusal import Refused

pytest.importorskip("transformers.models.minicpmv4_7", reason="in transformers since 5.2x")
NAMES = ("minicpm-v-4.6", "minicpm-v-4.7")
WIDTH, INNER, TOWER, ROWS = 1024, 3584, 1152, 248_320
MLP = 3 * WIDTH * INNER + 2 * WIDTH  # and the two norms of a layer
MIXED = 3 * 16 * 128  # query, key and value of a linear layer's 16 heads
LINEAR = WIDTH * MIXED + 2 * WIDTH * 2048 + 2 * WIDTH * 16 + 4 * MIXED + 2 * 16 + 128 + MLP
FULL = WIDTH * 2 * 8 * 256 + 2 * WIDTH * 2 * 256 + 8 * 256 * WIDTH + 2 * 256 + MLP  # queries come with gates
LANGUAGE = 18 * LINEAR + 6 * FULL + WIDTH
ATTENTION = 4 * (TOWER**2 + TOWER)
VISION_LAYER = ATTENTION + 2 * TOWER * 4304 + 4304 + TOWER + 4 * TOWER
MERGED_IN_TOWER = ATTENTION + 2 * TOWER + 8 * TOWER + (4 * TOWER) * (4 * 4304) + 4 * 4304 + 4 * 4304 * TOWER + TOWER
VISION = 27 * VISION_LAYER + MERGED_IN_TOWER + 70**2 * TOWER + (3 * 14**2 + 1) * TOWER + 2 * TOWER
MERGER = 8 * TOWER + (4 * TOWER) ** 2 + 4 * TOWER + 4 * TOWER * WIDTH + WIDTH
PAIR_FULL = 6 * 8 * ((WIDTH + 4096) + 2 * (WIDTH + 512) + (2048 + WIDTH))
PAIR_LINEAR = 18 * 8 * ((WIDTH + MIXED) + (WIDTH + 2048) + (2048 + WIDTH))
TOTAL = LANGUAGE + ROWS * WIDTH + VISION + MERGER
MODES = {
    "full": TOTAL,
    "connector+llm": MERGER + LANGUAGE + ROWS * WIDTH,
    "vision+connector": VISION + MERGER,
    "connector": MERGER,
    "lora-full-attention": PAIR_FULL,
    "lora": PAIR_FULL + PAIR_LINEAR,
    "lora+connector": PAIR_FULL + PAIR_LINEAR + MERGER,
    "lora+vision": PAIR_FULL + PAIR_LINEAR + MERGER + VISION,
    "last-layers": MERGER + LINEAR + FULL,
}


@cache
def meta(name: str, size: str) -> Any:
    return family(name).meta_model(size)


@pytest.fixture(scope="module", params=NAMES)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    stack.quiet()
    directory = tmp_path_factory.mktemp("minicpm-v-4")
    family(request.param).write_base(directory)
    return family(request.param), directory


@pytest.fixture
def loaded(base: tuple[Any, Path]) -> Any:
    return base[0].load(base[1], torch.float32)


def batch(base: tuple[Any, Path], loaded: Any, samples: list[Sample]) -> Any:
    return base[0].collate([base[0].encode(one, loaded.processor, 2048) for one in samples], loaded.processor)


@pytest.mark.parametrize("name", NAMES)
def test_the_counts_follow_from_the_dimensions(name: str) -> None:
    plan = family_plan(name, "full")

    assert plan["total"] == TOTAL == 1_300_659_440
    assert plan["components"] == {
        "vision": VISION,
        "connector": MERGER,
        "language": LANGUAGE,
        "embeddings": ROWS * WIDTH,
    }
    assert plan["modes"] == MODES


def test_the_defaults_of_the_class_are_another_model() -> None:
    import transformers

    with torch.device("meta"):
        model = transformers.MiniCPMV4_6ForConditionalGeneration(transformers.MiniCPMV4_6Config())

    assert round(sum(p.numel() for p in model.parameters()) / 1e9, 2) == 9.11


@pytest.mark.parametrize("name", NAMES)
def test_tiny_has_every_kind_of_module_that_full_has(name: str) -> None:
    full, tiny = ({type(m).__name__ for m in meta(name, size).modules()} for size in ("full", "tiny"))

    assert tiny == full
    for size, d in (("full", PUBLISHED), ("tiny", TINY)):
        types = meta(name, size).config.text_config.layer_types
        assert types.count("full_attention") == d.layers // d.period
        assert types.count("linear_attention") == d.layers - d.layers // d.period
        assert 0 <= d.merged_after < d.vision_layers - 1
        assert d.rows > d.ordinary + 11
        assert d.key_value_heads < d.heads
    layers = TINY.layers, PUBLISHED.layers
    assert layers[0] == TINY.period < layers[1]


@pytest.mark.parametrize("name", NAMES)
def test_prefixes_are_refused_for_layers_that_keep_a_state(name: str) -> None:
    prompts = {"options": {"task_type": "CAUSAL_LM", "num_virtual_tokens": 4}}
    check_possible(Recipe.model_validate({"family": name, "adapter": {"method": "prompt_tuning", **prompts}}))

    with pytest.raises(Refused, match="layers of linear attention keep a state instead") as refused:
        check_possible(Recipe.model_validate({"family": name, "adapter": {"method": "prefix_tuning", **prompts}}))
    assert refused.value.do


@pytest.mark.parametrize("name", NAMES)
def test_every_key_has_one_component_and_is_its_own_name(name: str) -> None:
    import re

    for key in meta(name, "tiny").state_dict():
        assert family(name).naming.canonical(key) == key
        assert sum(bool(re.match(pattern, key)) for pattern, _ in names.COMPONENTS) == 1


def test_the_head_is_the_embeddings_tensor(loaded: Any) -> None:
    assert loaded.model.lm_head.weight is loaded.model.get_input_embeddings().weight


def test_a_gradient_reaches_every_parameter(
    base: tuple[Any, Path], loaded: Any, of_each_kind: dict[str, Sample]
) -> None:
    """With the class's own default for image_token_id, none, none would reach the tower, and nothing would be said."""
    images = batch(base, loaded, [of_each_kind["image"], of_each_kind["several"]])
    base[0].loss(loaded.model.train(), images).backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in loaded.model.parameters())

    loaded.model.zero_grad()
    loaded.model.config.image_token_id = None
    base[0].loss(loaded.model, images).backward()
    seen = [p.grad for path, p in loaded.model.named_parameters() if ".vision_tower." in path]
    assert not any(gradient is not None and bool(gradient.any()) for gradient in seen)


@pytest.mark.parametrize("sample", read_samples(SHIPPED), ids=lambda sample: sample.id)
def test_answers_and_their_ends_are_learned_where_they_stand(
    base: tuple[Any, Path], loaded: Any, sample: Sample
) -> None:
    encoded = base[0].encode(sample, loaded.processor, 1 << 20)
    ids, labels = encoded["input_ids"].tolist(), encoded["labels"].tolist()
    opening, closing = (loaded.processor.tokenizer.convert_tokens_to_ids(token) for token in (OPEN, CLOSE))
    assistant, _ = loaded.processor.tokenizer("assistant\n")["input_ids"]
    expected = [IGNORED_LABEL] * len(ids)
    for at, token in enumerate(ids):
        if token == opening and ids[at + 1] == assistant:
            end = ids.index(closing, at) + 1
            expected[at + 3 : end] = ids[at + 3 : end]

    assert labels == expected
    assert any(label != IGNORED_LABEL for label in labels)


def test_there_are_as_many_places_as_patches_are_merged_to(
    base: tuple[Any, Path], loaded: Any, of_each_kind: dict[str, Sample]
) -> None:
    encoded = base[0].encode(of_each_kind["several"], loaded.processor, 1 << 20)

    patches = encoded["target_sizes"].prod(1)
    places = int((encoded["input_ids"] == loaded.processor.image_token_id).sum())
    assert places * 16 == int(patches.sum())
    assert encoded["pixel_values"].shape == (1, 3, TINY.patch, TINY.patch * int(patches.sum()))
    assert len(patches) > len(of_each_kind["several"].images)  # parts of a picture that is cut


def test_a_prompt_says_where_pictures_go(base: tuple[Any, Path], of_each_kind: dict[str, Sample]) -> None:
    prompt = base[0].prompt(of_each_kind["several"])

    assert prompt["text"].count(PICTURE) == len(prompt["images"])


def test_on_the_canvas_parts_have_two_dimensions_of_positions(of_each_kind: dict[str, Sample]) -> None:
    """4.7 is told each token's kind; without it, its positions would be those of text."""
    assert "mm_token_type_ids" in _encoded("minicpm-v-4.7", of_each_kind["image"])
    assert "mm_token_type_ids" not in _encoded("minicpm-v-4.6", of_each_kind["image"])


def _encoded(name: str, sample: Sample) -> dict[str, Any]:
    from harness.families.minicpm.v4.processing import processor

    return family(name).encode(sample, processor(name[-3:].replace(".", "_"), TINY), 2048)


def test_without_torchvision_the_processor_comes_back_for_pictures_alone(base: tuple[Any, Path]) -> None:
    processor = stack.pictures_alone(base[1])

    assert type(processor).__name__ == f"MiniCPMV{base[0].kind}Processor"
    assert processor.chat_template == base[0].load(base[1], torch.float32).processor.chat_template
