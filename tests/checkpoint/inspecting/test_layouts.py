"""What is computed in closed form is what the class itself says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.checkpoint.inspecting.building import built
from harness.checkpoint.inspecting.case import NotJudged
from harness.checkpoint.inspecting.directory import canonical
from harness.checkpoint.inspecting.layouts import closed_form

TEXT = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 64,
}
VISION = {
    "model_type": "clip_vision_model",
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "llama": {"architectures": ["LlamaForCausalLM"], "model_type": "llama", **TEXT},
    "llama with biases": {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": True,
        "mlp_bias": True,
        "head_dim": 16,
        **TEXT,
    },
    "mistral": {"architectures": ["MistralForCausalLM"], "model_type": "mistral", **TEXT},
    "qwen2": {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", **TEXT},
    "llava": {
        "architectures": ["LlavaForConditionalGeneration"],
        "model_type": "llava",
        "text_config": {"model_type": "llama", **TEXT},
        "vision_config": VISION,
        "image_token_index": 60,
    },
    "llava on two layers of a qwen2": {
        "architectures": ["LlavaForConditionalGeneration"],
        "model_type": "llava",
        "text_config": {"model_type": "qwen2", **TEXT},
        "vision_config": VISION,
        "vision_feature_layer": [-2, -1],
        "multimodal_projector_bias": False,
        "image_token_index": 60,
    },
}


@pytest.mark.parametrize("name", CONFIGS)
def test_closed_form_is_what_the_class_saves(name: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIGS[name]))
    shapes, optional = built(tmp_path)

    found = closed_form(CONFIGS[name])
    assert found is not None
    # A tower that was never loaded is saved under other names by some releases.
    assert {canonical(key): shape for key, shape in found.items()} == {canonical(k): s for k, s in shapes.items()}
    assert len({*map(canonical, found)}) == len(found)
    assert optional == frozenset()


def test_a_tied_output_layer_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**CONFIGS["llama"], "tie_word_embeddings": True}))

    assert built(tmp_path)[1] == {"lm_head.weight"}


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({}, "names no class"),
        ({"architectures": ["NoSuchModel"]}, "has no NoSuchModel"),
        ({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": "many"}, "cannot be built"),
    ],
)
def test_what_cannot_be_built_is_said(config: dict[str, Any], why: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))

    with pytest.raises(NotJudged, match=why):
        built(tmp_path)
    assert closed_form(config) is None
