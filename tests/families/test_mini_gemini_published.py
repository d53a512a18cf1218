"""At full size, on the meta device, the Mini-Gemini models have the published counts and keys; tiny is the same."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from harness.families import family
from harness.families.family import components_of
from harness.families.mini_gemini.dimensions import EXPERTS_OF_A_TOKEN, PUBLISHED, THRESHOLDS, TINY
from harness.intent import Intent
from harness.planning import family_plan
from harness.recipe import Recipe

CLIP, CONVNEXT, BLOCKS = 303_507_456, 9_792 + 196_217_472, 6_963_456
UPPER_HALF, LAST_BLOCKS = 151_154_688, 306_048 + 1_201_920 + 4_763_136 + 18_963_456
CLIP_LAYER = 12_596_224


class Language(NamedTuple):
    """What is published of a language model's sizes."""

    hidden: int
    layers: int
    heads: int
    key_value_heads: int
    inner: int
    vocabulary: int
    head: int = 128
    experts: int = 0
    tied: bool = False

    @property
    def layer(self) -> int:
        feed_forward = 3 * self.hidden * self.inner
        if self.experts:
            feed_forward = self.experts * feed_forward + self.experts * self.hidden
        heads = 2 * self.heads + 2 * self.key_value_heads
        return self.hidden * self.head * heads + feed_forward + 2 * self.hidden

    @property
    def embeddings(self) -> int:
        return self.vocabulary * self.hidden

    @property
    def count(self) -> int:
        return self.embeddings * (1 if self.tied else 2) + self.layers * self.layer + self.hidden

    @property
    def projector(self) -> int:
        return 1024 * self.hidden + self.hidden + self.hidden**2 + self.hidden

    def lora(self, rank: int) -> int:
        """Beside each linear layer of all layers, rank x (inputs + outputs)."""
        queries, narrow = self.heads * self.head, self.key_value_heads * self.head
        attention = 2 * (self.hidden + queries) + 2 * (self.hidden + narrow)
        inner = 3 * (self.hidden + self.inner)
        if self.experts:
            inner = self.experts * inner + self.hidden + self.experts
        return self.layers * rank * (attention + inner)


LANGUAGE = {
    "2b": Language(2048, 18, 8, 1, 16384, 256_000, head=256, tied=True),
    "7b": Language(4096, 32, 32, 32, 11008, 32_000),
    "13b": Language(5120, 40, 40, 40, 13824, 32_000),
    "8b": Language(4096, 32, 32, 8, 14336, 128_256),
    "8x7b": Language(4096, 32, 32, 8, 14336, 32_000, experts=8),
    "34b": Language(7168, 60, 56, 8, 20480, 64_000),
}
# By member: language model, projector, all of it, stage 1, stage 2.
TABLE = {
    "2b": (2_506_172_416, 6_295_552, 3_019_166_144, 13_259_008, 2_519_431_424),
    "7b": (6_738_415_616, 20_979_712, 7_266_093_504, 27_943_168, 6_766_358_784),
    "13b": (13_015_864_320, 31_467_520, 13_554_030_016, 38_430_976, 13_054_295_296),
    "8b": (8_030_261_248, 20_979_712, 8_557_939_136, 27_943_168, 8_058_204_416),
    "8x7b": (46_702_792_704, 20_979_712, 47_230_470_592, 27_943_168, 46_730_735_872),
    "34b": (34_388_917_248, 58_734_592, 34_954_350_016, 65_698_048, 34_454_615_296),
}
KEYS = {"2b": 911 + 1, "7b": 1038, "13b": 1110, "8b": 1038, "8x7b": 1742, "34b": 1290}


def name_of(member: str) -> str:
    return f"mini-gemini-{member}"


@cache
def meta(member: str, size: str) -> Any:
    return family(name_of(member)).meta_model(size)


def counts(member: str, size: str) -> Counter[str]:
    chosen, found = family(name_of(member)), Counter[str]()
    for path, parameter in meta(member, size).named_parameters():
        found[components_of(chosen, path)] += parameter.numel()
    return found


@pytest.mark.parametrize("member", TABLE)
def test_the_table_is_what_the_sizes_come_to(member: str) -> None:
    language = LANGUAGE[member]
    connector = language.projector + BLOCKS

    assert TABLE[member] == (
        language.count,
        language.projector,
        language.count + connector + CLIP + CONVNEXT,
        connector,
        language.count + connector,
    )


def test_the_towers_are_what_their_sizes_come_to() -> None:
    """CLIP: patches, class, positions, layers, two norms. ConvNeXt: stem, halvings, blocks of 8 c^2 + 58 c."""
    layer = 4 * (1024**2 + 1024) + 2 * 1024 * 4096 + 4096 + 1024 + 4 * 1024
    channels, depths = (192, 384, 768, 1536), (3, 3, 27, 3)
    blocks = [8 * c**2 + 58 * c for c in channels]
    halvings = sum(2 * a + 4 * a * b + b for a, b in pairwise(channels))

    assert layer == CLIP_LAYER
    assert 1024 + 3 * 14 * 14 * 1024 + 577 * 1024 + 24 * layer + 4 * 1024 == CLIP
    assert 48 * 192 + 192 + 2 * 192 + halvings + sum(n * b for n, b in zip(depths, blocks, strict=True)) == CONVNEXT
    assert 12 * layer == UPPER_HALF
    assert sum(blocks) == LAST_BLOCKS
    assert BLOCKS == 2 * 1024 + 1024**2 + 1024 + 2 * (2 * 2880 + 2880 * 1024 + 1024)


@pytest.mark.parametrize("member", TABLE)
def test_the_counts_are_the_published_ones(member: str) -> None:
    language, projector, total, _, _ = TABLE[member]
    found, head = counts(member, "full"), 0 if LANGUAGE[member].tied else LANGUAGE[member].embeddings

    assert found.total() == total
    assert found == Counter(
        {
            "vision": CLIP,
            "vision_aux": CONVNEXT,
            "connector": projector + BLOCKS,
            "embeddings": LANGUAGE[member].embeddings,
            "lm_head": head,
            "language": language - LANGUAGE[member].embeddings - head,
        }
    )
    parts = dict(meta(member, "full").model.named_children())
    assert sum(p.numel() for p in parts["mm_projector"].parameters()) == projector


@pytest.mark.parametrize("member", TABLE)
def test_high_resolution_adds_pixels_and_no_parameter(member: str) -> None:
    low, high = (family(f"{name_of(member)}{suffix}") for suffix in ("", "-hd"))

    assert {key: tensor.shape for key, tensor in high.meta_model("full").state_dict().items()} == {
        key: tensor.shape for key, tensor in meta(member, "full").state_dict().items()
    }
    assert low.dimensions("full").image_tokens == 576
    assert high.dimensions("full").image_tokens == 2880
    assert low.dimensions("full").cells == high.dimensions("full").cells == 64


@pytest.mark.parametrize(("side", "cells"), [(768, 64), (672, 49)])
def test_other_sizes_of_pictures_give_other_numbers_of_cells(side: int, cells: int) -> None:
    low = replace(PUBLISHED["7b"], image_aux=side)

    assert low.cells == low.in_high_resolution().cells == cells
    assert low.in_high_resolution().image_aux == 2 * side


ATTENTION = tuple(f"self_attn.{name}_proj.weight" for name in "qkvo")
NORMS = ("input_layernorm.weight", "post_attention_layernorm.weight")
GATED = tuple(f"mlp.{name}_proj.weight" for name in ("gate", "up", "down"))
CLIP_PARTS = (
    *(f"self_attn.{name}" for name in ("q_proj", "k_proj", "v_proj", "out_proj")),
    *("mlp.fc1", "mlp.fc2", "layer_norm1", "layer_norm2"),
)
BLOCK_PARTS = ("conv_dw", "norm", "mlp.fc1", "mlp.fc2")


def both(*names: str) -> set[str]:
    return {f"{name}.{leaf}" for name in names for leaf in ("weight", "bias")}


def published_keys(language: int, experts: int, clip: int, depths: tuple[int, ...]) -> set[str]:
    """The keys of a checkpoint, written out."""
    inner = (
        (
            "block_sparse_moe.gate.weight",
            *(f"block_sparse_moe.experts.{e}.w{w}.weight" for e in range(experts) for w in (1, 2, 3)),
        )
        if experts
        else GATED
    )
    tower, aux = "model.vision_tower.vision_tower.vision_model", "model.vision_tower_aux"
    blocks = [f"{aux}.vision_stages.{s}.blocks.{b}" for s, depth in enumerate(depths) for b in range(depth)]
    blocks_of_patches = (f"model.vlm_uni_{name}_projector.{n}" for name in ("query", "aux", "val") for n in (0, 1))
    return {
        *("model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"),
        *(f"model.layers.{n}.{name}" for n in range(language) for name in (*ATTENTION, *inner, *NORMS)),
        *(f"{tower}.embeddings.class_embedding", f"{tower}.embeddings.patch_embedding.weight"),
        f"{tower}.embeddings.position_embedding.weight",
        *both(f"{tower}.pre_layrnorm", f"{tower}.post_layernorm"),
        *both(*(f"{tower}.encoder.layers.{n}.{part}" for n in range(clip) for part in CLIP_PARTS)),
        *both(f"{aux}.vision_stem.0", f"{aux}.vision_stem.1"),
        *both(*(f"{aux}.vision_stages.{s}.downsample.{n}" for s in range(1, len(depths)) for n in (0, 1))),
        *(f"{block}.gamma" for block in blocks),
        *both(*(f"{block}.{part}" for block in blocks for part in BLOCK_PARTS)),
        *both("model.mm_projector.0", "model.mm_projector.2", *blocks_of_patches),
    }


@pytest.mark.parametrize("size", ["full", "tiny"])
@pytest.mark.parametrize("member", TABLE)
def test_the_keys_are_the_published_ones(member: str, size: str) -> None:
    canonical = family(name_of(member)).naming.canonical
    keys = [canonical(key) for key in meta(member, size).state_dict()]
    d = (PUBLISHED if size == "full" else TINY)[member]

    assert set(keys) == published_keys(d.layers, d.experts, d.clip.layers, d.aux.depths)
    assert len(keys) == len(set(keys))
    assert size == "tiny" or len(keys) == KEYS[member]
    assert [canonical(key) for key in keys] == keys


@pytest.mark.parametrize("size", ["full", "tiny"])
@pytest.mark.parametrize("member", ["2b", "7b", "8x7b"])
def test_every_parameter_is_in_exactly_one_component(member: str, size: str) -> None:
    naming = family(name_of(member)).naming

    met = {
        key: sum(bool(re.match(pattern, naming.canonical(key))) for pattern, _ in naming.components)
        for key in meta(member, size).state_dict()
    }

    assert set(met.values()) == {1}


def expected_modes(member: str) -> dict[str, int]:
    language, _, total, first, second = TABLE[member]
    sizes = LANGUAGE[member]
    lora = sizes.lora(64)
    return {
        "stage-1": first,
        "stage-2": second,
        "full": total,
        "freeze_backbone": first + (0 if sizes.tied else sizes.embeddings),
        "freeze_mm_mlp_adapter": language + BLOCKS,
        "optimize_vision_tower": second + UPPER_HALF,
        "optimize_vision_tower_aux": second + LAST_BLOCKS,
        "optimize_both_towers": second + UPPER_HALF + LAST_BLOCKS,
        "lora": lora + first,
        "lora-alone": lora,
        "lora+vision": lora + first + CLIP,
        "last-layers": first + 2 * sizes.layer,
    }


def test_lora_of_vicuna_7b_is_the_published_count() -> None:
    assert LANGUAGE["7b"].lora(64) == 159_907_840
    assert expected_modes("7b")["stage-1"] == 27_943_168
    assert expected_modes("7b")["stage-2"] == 6_766_358_784


def promised(intent: Intent, model: Any, canonical: Any) -> int:
    """What the intent lets train, an adapter's pairs of matrices counted beside the modules that its targets name."""
    own = sum(p.numel() for path, p in model.named_parameters() if intent.names_as_trained(canonical(path)))
    if intent.adapter is None:
        return own
    assert isinstance(intent.adapter.targets, str)
    assert intent.adapter.rank
    met = [m for path, m in model.named_modules() if re.fullmatch(intent.adapter.targets, path)]
    return own + sum(intent.adapter.rank * (module.in_features + module.out_features) for module in met)


@pytest.mark.parametrize("member", TABLE)
def test_every_mode_promises_the_published_count(member: str) -> None:
    chosen, expected = family(name_of(member)), expected_modes(member)

    assert chosen.modes().keys() == expected.keys()
    for mode, settings in chosen.modes().items():
        recipe = Recipe(family=chosen.name, data={"mix": ["image"]}, **settings)
        intent = chosen.intent(recipe.model_copy(update={"size": "full"}))
        assert promised(intent, meta(member, "full"), chosen.naming.canonical) == expected[mode], mode


@pytest.mark.slow
@pytest.mark.parametrize("member", ["2b", "7b", "8x7b"])
def test_every_mode_trains_the_published_count(member: str) -> None:
    """Counted once peft has put its adapters in and made its copies."""
    plan = family_plan(name_of(member), "full")

    assert plan["modes"] == expected_modes(member)
    assert plan["total"] == TABLE[member][2]


@pytest.mark.parametrize("member", ["2b", "7b-hd", "8x7b", "34b"])
def test_every_mode_that_tiny_has_layers_for_trains_less_than_all_of_it(member: str) -> None:
    plan = family_plan(name_of(member), "tiny")

    assert plan["modes"].keys() == {mode for mode in expected_modes(member.removesuffix("-hd")) if mode not in TOO_DEEP}
    assert plan["modes"]["full"] == plan["total"]
    assert all(count < plan["total"] for mode, count in plan["modes"].items() if mode[:4] not in ("full", "lora"))


TOO_DEEP = ("optimize_vision_tower", "optimize_both_towers")  # they train twelve layers of CLIP


def test_llama_3_s_tokens_have_their_published_ids() -> None:
    config = meta("8b", "full").config

    assert (config.bos_token_id, config.eos_token_id) == (128_000, 128_001)
    assert meta("8b", "tiny").config.bos_token_id == 576


def without_numbers(path: str) -> str:
    return re.sub(r"\.\d+(?=\.|$)", ".N", path)


@pytest.mark.parametrize("member", ["2b", "7b", "8b", "8x7b", "34b"])
def test_tiny_has_the_modules_of_full_and_fewer_layers(member: str) -> None:
    full, tiny = (
        {without_numbers(p): type(m) for p, m in meta(member, size).named_modules()} for size in ("full", "tiny")
    )

    assert tiny == full


@pytest.mark.parametrize("member", ["2b", "7b", "8b", "8x7b", "34b"])
def test_tiny_differs_from_full_in_sizes_alone(member: str) -> None:
    def settings(size: str) -> dict[str, Any]:
        config = meta(member, size).config.to_dict()
        parts = {"": config, "vision_config.": config.pop("vision_config")}
        return {f"{part}{key}": value for part, values in parts.items() for key, value in values.items()}

    full, tiny = settings("full"), settings("tiny")

    assert full.keys() == tiny.keys()
    differ = {key.rpartition(".")[2] for key in full if full[key] != tiny[key]}
    sizes = r".*(size|layers|heads|embeddings|head_dim|token_id|experts|channels|depths|size_aux)"
    assert [key for key in differ if not re.fullmatch(sizes, key)] == []


@pytest.mark.parametrize("sizes", [PUBLISHED, TINY], ids=["full", "tiny"])
def test_tiny_crosses_what_depends_on_size(sizes: Any) -> None:
    """Each of THRESHOLDS, on the same side in both."""
    crossed = {
        "cells": lambda d: d.cells > 1 and d.in_high_resolution().cells > 1,
        "clip.layers": lambda d: d.clip.layers // 2 < d.clip.layers - 1,  # of the upper half, one layer is reached
        "aux.depths": lambda d: max(d.aux.depths) > 1 and d.aux.drop_path > 0,
        "places_of_the_last_stage": lambda d: d.places_of_the_last_stage > 1,
        "experts": lambda d: d.kind != "mixtral" or d.experts > EXPERTS_OF_A_TOKEN,
    }

    assert set(crossed) == set(THRESHOLDS)
    for member, d in sizes.items():
        for name, holds in crossed.items():
            assert holds(d), (member, name)
