"""Names by which tensors are known, whichever system and release has written them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.checkpoint.inspecting.directory import Directory, canonical, is_embedding, is_head
from harness.checkpoint.inspecting.library import expects_images, image_processor_names, processor_names


@pytest.mark.parametrize(
    "spellings",
    [
        (
            "language_model.model.layers.0.mlp.up_proj.weight",
            "model.language_model.layers.0.mlp.up_proj.weight",
            "base_model.model.model.language_model.layers.0.mlp.up_proj.weight",
            "_orig_mod.module.language_model.model.layers.0.mlp.up_proj.weight",
        ),
        ("vision_tower.vision_model.embeddings.class_embedding", "model.vision_tower.embeddings.class_embedding"),
        ("language_model.lm_head.weight", "lm_head.weight"),
    ],
)
def test_spellings_of_one_tensor_are_one(spellings: tuple[str, ...]) -> None:
    assert len({canonical(key) for key in spellings}) == 1


@pytest.mark.parametrize(
    ("key", "head", "embedding"),
    [
        ("lm_head.weight", True, False),
        ("llm.lm_head.weight", True, False),
        ("language_model.lm_head.weight", True, False),
        ("transformer.output_layer.weight", True, False),
        ("output.weight", True, False),
        ("model.layers.0.attention.output.weight", False, False),
        ("model.embed_tokens.weight", False, True),
        ("tok_embeddings.weight", False, True),
        ("transformer.wte.weight", False, True),
        ("model.embed_tokens_per_layer.weight", False, False),
        ("vision_tower.embed_tokens.weight", False, False),
    ],
)
def test_heads_and_tables_are_known_by_name(key: str, head: bool, embedding: bool) -> None:
    assert (is_head(key), is_embedding(key)) == (head, embedding)


@pytest.mark.parametrize(
    ("name", "headless"),
    [
        ("LlamaModel", True),
        ("Qwen2ForSequenceClassification", True),
        ("LlamaForCausalLM", False),
        ("LlavaForConditionalGeneration", False),
        ("MiniCPMV", False),
    ],
)
def test_some_classes_have_no_output_layer(name: str, headless: bool, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": [name]}))

    assert Directory(tmp_path).headless == headless


def test_two_keys_of_one_canonical_name_are_kept_apart(tmp_path: Path) -> None:
    from tests.checkpoint.directories import tensors

    tensors(tmp_path, "model.safetensors", {"model.a.weight": (1,), "a.weight": (1,)})

    assert Directory(tmp_path).by_canonical == {}


def test_classes_are_read_from_the_files_of_the_library_as_it_says_them_itself() -> None:
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

    names = processor_names()
    assert all(names[kind] >= {name} for kind, name in PROCESSOR_MAPPING_NAMES.items() if name)
    assert "CLIPImageProcessor" in set().union(*image_processor_names().values())


@pytest.mark.parametrize(
    ("config", "sees"), [({}, False), ({"vision_config": {}}, True), ({"mm_vision_tower": "x"}, True)]
)
def test_models_that_see_say_so(config: dict[str, object], sees: bool) -> None:
    assert expects_images(config) == sees
