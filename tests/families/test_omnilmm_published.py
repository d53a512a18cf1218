"""At full size, on the meta device, OmniLMM-12B has the published counts and timm's key names; tiny is the same thing.

The counts are worked out here from the dimensions alone, in closed form.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from harness.families import family
from harness.families.family import components_of
from harness.families.omnilmm import tokens
from harness.families.omnilmm.dimensions import PUBLISHED, THRESHOLDS, TINY, Dimensions
from harness.families.omnilmm.family import OmniLMM
from harness.planning import family_plan
from harness.refusal import Refused

NAME, LISTED = "omnilmm-12b", "omnilmm-12b-no-tune-clip"
H, F, V = 4096, 14_336, 32_000
C, M = 1792, 15_360

# timm: one matrix for queries, keys and values, biases for queries and values; projection; two norms; feed-forward.
BLOCK = 3 * C * C + 2 * C + C * C + C + 2 * 2 * C + C * M + M + M * C + C
PATCHES, CLASS, POSITIONS, NORM = 3 * 14 * 14 * C + C, C, (16 * 16 + 1) * C, 2 * C
ENORMOUS = 64 * BLOCK + PATCHES + CLASS + POSITIONS + NORM
TOWER = ENORMOUS - BLOCK
# Positions and queries; keys and values from the tower's width; attention in and out; three norms; projection.
FIXED = 64 * H
RESAMPLER = 2 * 64 * H + C * H + 3 * H * H + 3 * H + H * H + H + 3 * 2 * H + H * H
# Queries and outputs square, keys and values a quarter; three of the feed-forward; two norms.
LAYER = 2 * H * H + 2 * H * H // 4 + 3 * H * F + 2 * H
ZEPHYR = 32 * LAYER + H + 2 * V * H
TOKENS = 9
TOTAL = TOWER + RESAMPLER + ZEPHYR + TOKENS * 2 * H


def published_keys(blocks: int, layers: int) -> set[str]:
    of_block = ["attn.q_bias", "attn.v_bias", "attn.qkv.weight"] + [
        f"{name}.{kind}"
        for name in ("attn.proj", "norm1", "norm2", "mlp.fc1", "mlp.fc2")
        for kind in ("weight", "bias")
    ]
    tower = {"cls_token", "pos_embed", "patch_embed.proj.weight", "patch_embed.proj.bias", "norm.weight", "norm.bias"}
    tower |= {f"blocks.{number}.{name}" for number in range(blocks) for name in of_block}
    resampler = {"pos_embed", "query", "proj", "kv_proj.weight", "attn.in_proj_weight", "attn.in_proj_bias"}
    resampler |= {
        f"{name}.{kind}" for name in ("attn.out_proj", "ln_q", "ln_kv", "ln_post") for kind in ("weight", "bias")
    }
    of_layer = [f"self_attn.{name}_proj" for name in "qkvo"] + [f"mlp.{name}_proj" for name in ("gate", "up", "down")]
    of_layer += ["input_layernorm", "post_attention_layernorm"]
    decoder = {f"layers.{number}.{name}.weight" for number in range(layers) for name in of_layer}
    decoder |= {"embed_tokens.weight", "norm.weight"}
    parts = {"vision_tower": tower, "resampler": resampler}
    return (
        {f"model.{part}.{key}" for part, keys in parts.items() for key in keys}
        | {f"model.{key}" for key in decoder}
        | {"lm_head.weight"}
    )


@cache
def meta(name: str, size: str) -> Any:
    return family(name).meta_model(size)


def counts(name: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for path, parameter in meta(name, "full").named_parameters():
        found[components_of(family(name), path)] += parameter.numel()
    return found


def test_the_closed_forms_are_the_published_numbers() -> None:
    assert (BLOCK, ENORMOUS, TOWER) == (67_924_992, 4_348_720_896, 4_280_795_904)
    assert (RESAMPLER, ZEPHYR) == (91_791_360, 7_241_732_096)
    assert TOTAL == 11_614_319_360 + 9 * 8192


def test_the_counts_are_the_published_ones() -> None:
    assert counts(NAME) == {
        "vision": TOWER,
        "connector": RESAMPLER,
        "language": 32 * LAYER + H,
        "embeddings": (V + TOKENS) * H,
        "lm_head": (V + TOKENS) * H,
    }
    assert counts(NAME).total() == TOTAL


@pytest.mark.parametrize("added", [0, 3, 9])
def test_each_added_token_is_a_row_of_embeddings_and_one_of_the_head(added: int) -> None:
    model = OmniLMM("of so many tokens", replace(PUBLISHED, added=added)).meta_model("full")

    assert sum(p.numel() for p in model.parameters()) == TOWER + RESAMPLER + ZEPHYR + 8192 * added
    assert list(tokens.ids(replace(PUBLISHED, added=added)).values()) == list(range(V, V + added))


def test_the_keys_are_timms_and_mistrals() -> None:
    keys = list(meta(NAME, "full").state_dict())

    assert len(keys) == len(set(keys)) == 63 * 13 + 6 + 14 + 32 * 9 + 3 == 1130
    assert set(keys) == published_keys(63, 32)
    assert set(meta(NAME, "tiny").state_dict()) == published_keys(2, 2)


def test_a_tower_in_a_list_is_no_part_of_the_model() -> None:
    keys = set(meta(LISTED, "full").state_dict())

    assert keys == {key for key in published_keys(63, 32) if "vision_tower" not in key}
    assert counts(LISTED) == {part: n for part, n in counts(NAME).items() if part != "vision"}


def test_the_plan_says_what_each_mode_trains() -> None:
    plan = family_plan(NAME, "full")

    trained = RESAMPLER - FIXED  # pos_embed is a parameter that never trains
    assert plan["total"] == TOTAL
    assert plan["modes"] == {
        "full": TOTAL - FIXED,
        "llm+connector": TOTAL - TOWER - FIXED,
        "vision+connector": TOWER + trained,
        "connector": trained,
        "tune_mm_mlp_adapter": trained + (V + TOKENS) * H,
        "lora-qv": 32 * 8 * ((H + H) + (H + H // 4)),
    }
    assert family_plan(LISTED, "full")["modes"] == {
        name: plan["modes"][name] for name in ("llm+connector", "connector", "tune_mm_mlp_adapter", "lora-qv")
    }


@pytest.mark.parametrize("size", ["full", "tiny"])
def test_every_parameter_is_in_exactly_one_component(size: str) -> None:
    rules = family(NAME).naming.components

    for key in meta(NAME, size).state_dict():
        assert len([name for pattern, name in rules if re.match(pattern, key)]) == 1, key


def test_tiny_has_the_modules_of_full_and_fewer_layers() -> None:
    def kinds(size: str) -> dict[str, type]:
        named = meta(NAME, size).named_modules()
        return {
            re.sub(r"\.\d+(?=\.|$)", ".N", path): type(module)
            for path, module in named
            if "Identity" not in str(module)
        }

    assert kinds("tiny") == kinds("full")


def test_tiny_differs_from_full_in_sizes_alone() -> None:
    full, tiny = (meta(NAME, size).config.to_dict() for size in ("full", "tiny"))

    assert full.keys() == tiny.keys()
    sizes = r".*(size|sizes|layers|heads|embeddings|head_dim|num_query)"
    assert [key for key in full if full[key] != tiny[key] and not re.fullmatch(sizes, key)] == []


def crossed(d: Dimensions) -> dict[str, bool]:
    """Whether the branches that depend on sizes are taken."""
    patches = d.resolution // d.patch
    return {
        "the tower's positions are resampled": d.vision_image // d.patch != patches,
        "the resampler's positions are resampled": d.queries != patches**2,
        "the tower's last block is an Identity": d.vision_blocks > 2,
        "key and value heads are fewer": 1 <= d.key_value_heads < d.heads,
        "sliding window": d.positions <= 4096 or d.positions > 2048,
    }


def test_tiny_crosses_every_threshold_that_full_crosses() -> None:
    assert crossed(PUBLISHED) == crossed(TINY) == dict.fromkeys(THRESHOLDS, True)


@pytest.mark.parametrize("queries", [63, 8, 2])
def test_queries_that_are_no_square_are_refused(queries: int) -> None:
    """The grid has int(sqrt(num_query)) rows: 63 queries would silently become 49."""
    with pytest.raises(Refused, match=f"num_query {queries} is no square") as refused:
        replace(PUBLISHED, queries=queries)
    assert refused.value.do


def test_the_code_files_refuse_them_too() -> None:
    from harness.families.omnilmm.code_files.configuration_omnilmm import OmniLMMConfig
    from harness.families.omnilmm.code_files.resampler import Resampler

    with pytest.raises(ValueError, match="no square"):
        OmniLMMConfig(num_query=63)
    assert OmniLMMConfig().num_query == 64
    assert Resampler(63, 128, 32).num_queries == 49


def test_a_hidden_size_that_heads_of_128_do_not_divide_is_refused() -> None:
    with pytest.raises(Refused, match="one head for every 128"):
        replace(TINY, hidden=64)
    assert meta(NAME, "full").model.resampler.attn.num_heads == 32
