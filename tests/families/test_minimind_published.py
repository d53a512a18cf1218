"""At full size, on the meta device, MiniMind and MiniMind-V have the published counts and keys; tiny is the same."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest

from harness.families import family
from harness.families.family import components_of
from harness.families.minimind.dimensions import THRESHOLDS, TINY_VISION
from harness.planning import family_plan

VOCABULARY = 6400
ENCODER = 94_552_320
PROJECTOR = 1_182_720


def early(hidden: int, layers: int, narrow: int, inner: int, experts: int = 0) -> int:
    """The first two generations in closed form; `narrow` is the width of keys and values. A shared expert stands
    beside the routed ones, and a gate with a row for each of these."""
    attention = 2 * hidden * hidden + 2 * hidden * narrow
    fed = 3 * hidden * inner * (experts + 1 if experts else 1) + experts * hidden
    return VOCABULARY * hidden + layers * (attention + fed + 2 * hidden) + hidden


def third(experts: int = 0) -> int:
    """The third: queries and keys are normed, head by head, and no expert is shared."""
    attention = 2 * 768 * 768 + 2 * 768 * 384 + 2 * 96
    fed = 3 * 768 * 2432 * (experts or 1) + experts * 768
    return VOCABULARY * 768 + 8 * (attention + fed + 2 * 768) + 768


TOTALS = {
    "minimind-v1-small": (26_878_464, early(512, 8, 256, 1408)),
    "minimind-v1": (108_749_568, early(768, 16, 384, 2048)),
    "minimind-v1-moe": (96_100_864, early(512, 8, 256, 1408, experts=4)),
    "minimind-v2-small": (25_829_888, early(512, 8, 128, 1408)),
    "minimind-v2": (104_030_976, early(768, 16, 192, 2048)),
    "minimind-v2-moe": (145_029_760, early(640, 8, 160, 1728, experts=4)),
    "minimind-v3": (63_912_192, third()),
    "minimind-v3-moe": (198_416_640, third(experts=4)),
    "minimind-3v": (65_094_912 + ENCODER, third() + PROJECTOR + ENCODER),
    "minimind-3v-moe": (198_416_640 + PROJECTOR + ENCODER, third(experts=4) + PROJECTOR + ENCODER),
}
# Every tensor of a layer, and those around the layers; the head's key is there beside the embeddings' it is tied to.
EARLY_LAYER = (
    *(f"attention.{name}.weight" for name in ("wq", "wk", "wv", "wo")),
    "attention_norm.weight",
    "ffn_norm.weight",
)
EARLY_FED = tuple(f"{name}.weight" for name in ("w1", "w2", "w3"))
LATE_LAYER = (
    *(f"self_attn.{name}.weight" for name in ("q_proj", "k_proj", "v_proj", "o_proj", "q_norm", "k_norm")),
    "input_layernorm.weight",
    "post_attention_layernorm.weight",
)
LATE_FED = tuple(f"{name}_proj.weight" for name in ("gate", "up", "down"))
TOWER_LAYER = tuple(
    f"{module}.{leaf}"
    for module in (
        *(f"self_attn.{name}" for name in ("q_proj", "k_proj", "v_proj", "out_proj")),
        *("mlp.fc1", "mlp.fc2", "layer_norm1", "layer_norm2"),
    )
    for leaf in ("weight", "bias")
)
TOWER = (
    *("embeddings.patch_embedding.weight", "embeddings.patch_embedding.bias", "embeddings.position_embedding.weight"),
    *("post_layernorm.weight", "post_layernorm.bias", "head.probe"),
    *("head.attention.in_proj_weight", "head.attention.in_proj_bias"),
    *(
        f"head.{module}.{leaf}"
        for module in ("attention.out_proj", "layernorm", "mlp.fc1", "mlp.fc2")
        for leaf in ("weight", "bias")
    ),
)


def published_keys(name: str, layers: int, tower_layers: int = 12) -> set[str]:
    moe, late = name.endswith("-moe"), not re.match("minimind-v[12]", name)
    prefix, fed = ("model.", "mlp") if late else ("", "feed_forward")
    kinds = [f"{fed}.experts.{n}." for n in range(4)] if moe else [f"{fed}."]
    kinds += [f"{fed}.shared_experts."] if moe and not late else []
    each = [
        *(LATE_LAYER if late else EARLY_LAYER),
        *(k + leaf for k in kinds for leaf in (LATE_FED if late else EARLY_FED)),
    ]
    each += [f"{fed}.gate.weight"] if moe else []
    keys = {f"{prefix}layers.{n}.{leaf}" for n in range(layers) for leaf in each} | {f"{prefix}norm.weight"}
    keys |= {"model.embed_tokens.weight", "lm_head.weight"} if late else {"tok_embeddings.weight", "output.weight"}
    if "3v" in name:
        keys |= {f"vision_proj.mlp.{n}.{leaf}" for n in (0, 1, 3) for leaf in ("weight", "bias")}
        keys |= {f"vision_encoder.vision_model.{leaf}" for leaf in TOWER}
        keys |= {
            f"vision_encoder.vision_model.encoder.layers.{n}.{leaf}"
            for n in range(tower_layers)
            for leaf in TOWER_LAYER
        }
    return keys


@cache
def meta(name: str, size: str) -> Any:
    return family(name).meta_model(size)


@pytest.mark.parametrize("name", TOTALS)
def test_the_counts_are_the_published_ones(name: str) -> None:
    published, computed = TOTALS[name]
    counted = sum(parameter.numel() for parameter in meta(name, "full").parameters())

    assert (counted, computed) == (published, published)


@pytest.mark.parametrize("name", TOTALS)
@pytest.mark.parametrize("size", ["full", "tiny"])
def test_the_keys_are_the_published_ones(name: str, size: str) -> None:
    found = family(name)
    layers = {"minimind-v1": 16, "minimind-v2": 16}.get(name, 8) if size == "full" else 3
    keys = [found.naming.canonical(key) for key in meta(name, size).state_dict()]

    assert len(keys) == len(set(keys))
    assert set(keys) == published_keys(name, layers, 12 if size == "full" else TINY_VISION.layers)


@pytest.mark.parametrize("name", TOTALS)
def test_every_parameter_is_in_exactly_one_component(name: str) -> None:
    found = family(name)
    keys = [found.naming.canonical(path) for path in meta(name, "tiny").state_dict()]

    assert {sum(bool(re.match(pattern, key)) for pattern, _ in found.naming.components) for key in keys} == {1}


@pytest.mark.parametrize("name", TOTALS)
def test_head_and_embeddings_are_one_tensor(name: str) -> None:
    found = family(name)
    first, second = found.names.tied
    parameters = dict(meta(name, "tiny").named_parameters(remove_duplicate=False))

    assert parameters[first] is parameters[second]
    assert components_of(found, first) == components_of(found, second) == "embeddings"


def test_the_modes_of_a_plan_train_the_published_counts() -> None:
    assert family_plan("minimind-3v", "full")["modes"] == {
        "freeze_llm-2": PROJECTOR,
        "freeze_llm-1": 15_931_776,
        "freeze_llm-0": 65_094_912,
    }
    assert family_plan("minimind-3v-moe", "full")["modes"]["freeze_llm-1"] == 49_557_888
    # Rank 16 beside the square projections of 8 layers: two factors of 16 by 768 each.
    assert family_plan("minimind-v3", "full")["modes"]["lora-squares"] == 8 * 2 * 2 * 16 * 768 == 393_216


@pytest.mark.parametrize("name", TOTALS)
def test_tiny_is_on_the_same_side_of_every_threshold(name: str) -> None:
    found = family(name)
    full, tiny = found.dimensions("full"), found.dimensions("tiny")

    def sides(d: Any) -> dict[str, Any]:
        return {
            "square projections": (d.heads * d.head_dim == d.hidden, d.key_value_heads * d.head_dim == d.hidden),
            "rank below hidden": d.hidden > 16,
            "several groups": d.heads >= 2 * d.key_value_heads,
            "inner layers": d.layers > 2,
            "every expert is met": (d.experts, d.chosen, d.shared),
        }

    assert sides(full) == sides(tiny)
    assert set(sides(tiny)) | {"tokens of a picture"} == set(THRESHOLDS)
    if found.vision:
        assert {vision.tokens for vision in found.vision} == {64}
