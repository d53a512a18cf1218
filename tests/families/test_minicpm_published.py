"""At full size, on the meta device, MiniCPM-Llama3-V 2.5 has the published counts and keys; tiny is the same thing."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import Any

import pytest

from harness.families import family
from harness.families.family import components_of
from harness.families.minicpm import tokens
from harness.families.minicpm.dimensions import PUBLISHED, TINY
from harness.intent import Intent
from harness.planning import family_plan
from harness.recipe import Recipe

NAME = "minicpm-llama3-v-2.5"
TOTAL = 8_537_092_336
PARTS = {"llm": 8_030_261_248, "vpm": 417_792_240, "resampler": 89_038_848}
EMBEDDINGS = 525_336_576
# LoRA of rank 64 puts 64 x (4096 + outputs) beside a projection of the 32 layers; key and value heads are a quarter.
SQUARE, NARROW = 32 * 64 * (4096 + 4096), 32 * 64 * (4096 + 1024)
BESIDE = EMBEDDINGS + PARTS["resampler"]
MODES = {
    "full": TOTAL,
    "llm+connector": 8_119_300_096,
    "vision+connector": 506_831_088,
    "connector": 89_038_848,
    "lora-qkv": 652_124_160,
    "lora-qkvo": 2 * SQUARE + 2 * NARROW + BESIDE,
    "lora-qk": SQUARE + NARROW + BESIDE,
    "lora-qkv+vision": 1_069_916_400,
    "lora-qkv+kept-modules": 652_124_160,
    # Per layer: query and output square, key and value narrow, three of the feed-forward, two norms.
    "last-layers": PARTS["resampler"] + EMBEDDINGS + 2 * (4096 * (2 * 4096 + 2 * 1024 + 3 * 14336) + 2 * 4096),
}

LANGUAGE_LAYER = (
    *(f"self_attn.{name}_proj.weight" for name in "qkvo"),
    *(f"mlp.{name}_proj.weight" for name in ("gate", "up", "down")),
    "input_layernorm.weight",
    "post_attention_layernorm.weight",
)
VISION_LAYER = tuple(
    f"{module}.{leaf}"
    for module in (
        *(f"self_attn.{name}" for name in ("q_proj", "k_proj", "v_proj", "out_proj")),
        *("mlp.fc1", "mlp.fc2", "layer_norm1", "layer_norm2"),
    )
    for leaf in ("weight", "bias")
)
RESAMPLER = (
    *("query", "proj", "kv_proj.weight"),
    *("attn.in_proj_weight", "attn.in_proj_bias", "attn.out_proj.weight", "attn.out_proj.bias"),
    *(f"{name}.{leaf}" for name in ("ln_q", "ln_kv", "ln_post") for leaf in ("weight", "bias")),
)


def published_keys(vision_layers: int, language_layers: int) -> set[str]:
    """The keys of the published checkpoint, written out."""
    return {
        *("llm.model.embed_tokens.weight", "llm.model.norm.weight", "llm.lm_head.weight"),
        *(f"llm.model.layers.{n}.{name}" for n in range(language_layers) for name in LANGUAGE_LAYER),
        *(f"vpm.embeddings.patch_embedding.{leaf}" for leaf in ("weight", "bias")),
        "vpm.embeddings.position_embedding.weight",
        *(f"vpm.encoder.layers.{n}.{name}" for n in range(vision_layers) for name in VISION_LAYER),
        *(f"vpm.post_layernorm.{leaf}" for leaf in ("weight", "bias")),
        *(f"resampler.{name}" for name in RESAMPLER),
    }


@cache
def meta(size: str) -> Any:
    return family(NAME).meta_model(size)


def test_the_counts_are_the_published_ones() -> None:
    model = meta("full")
    counts: Counter[str] = Counter()
    for path, parameter in model.named_parameters():
        counts[components_of(family(NAME), path)] += parameter.numel()

    assert {name: sum(p.numel() for p in getattr(model, name).parameters()) for name in PARTS} == PARTS
    assert counts.total() == TOTAL
    assert counts == {
        "vision": PARTS["vpm"],
        "connector": PARTS["resampler"],
        "embeddings": EMBEDDINGS,
        "lm_head": EMBEDDINGS,
        "language": PARTS["llm"] - 2 * EMBEDDINGS,
    }


@pytest.mark.parametrize(("size", "layers"), [("full", (27, 32)), ("tiny", (2, 2))])
def test_the_keys_are_the_published_ones(size: str, layers: tuple[int, int]) -> None:
    keys = list(meta(size).state_dict())

    assert set(keys) == published_keys(*layers)
    assert len(keys) == len(set(keys))
    assert size == "tiny" or len(keys) == 741
    assert [family(NAME).naming.canonical(key) for key in keys] == keys


def test_no_two_keys_share_a_tensor() -> None:
    paths = dict(meta("tiny").named_parameters(remove_duplicate=False))

    assert len({id(parameter) for parameter in paths.values()}) == len(paths)


@pytest.mark.parametrize("size", ["full", "tiny"])
def test_every_parameter_is_in_exactly_one_component(size: str) -> None:
    rules = family(NAME).naming.components

    met = {key: sum(bool(re.match(pattern, key)) for pattern, _ in rules) for key in meta(size).state_dict()}

    assert set(met.values()) == {1}


@pytest.mark.slow
def test_every_mode_trains_the_published_count() -> None:
    """Counted once peft has put its adapters in and made its copies."""
    plan = family_plan(NAME, "full")

    assert plan["modes"] == MODES
    assert plan["total"] == TOTAL


def promised(intent: Intent, model: Any) -> int:
    """What the intent lets train, an adapter's pairs of matrices counted beside the modules that its targets name."""
    own = sum(p.numel() for path, p in model.named_parameters() if intent.names_as_trained(path))
    if intent.adapter is None:
        return own
    assert isinstance(intent.adapter.targets, str)
    assert intent.adapter.rank
    met = [m for path, m in model.named_modules() if re.fullmatch(intent.adapter.targets, path)]
    return own + sum(intent.adapter.rank * (module.in_features + module.out_features) for module in met)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_promises_the_published_count(mode: str) -> None:
    recipe = Recipe(family=NAME, data={"mix": ["image"]}, **family(NAME).modes()[mode])
    intent = family(NAME).intent(recipe.model_copy(update={"size": "full"}))

    assert promised(intent, meta("full")) == MODES[mode]


def without_numbers(path: str) -> str:
    return re.sub(r"\.\d+(?=\.|$)", ".N", path)


def test_tiny_has_the_modules_of_full_and_fewer_layers() -> None:
    full, tiny = ({without_numbers(p): type(m) for p, m in meta(size).named_modules()} for size in ("full", "tiny"))

    assert tiny == full


def test_tiny_differs_from_full_in_sizes_alone() -> None:
    def settings(size: str) -> dict[str, Any]:
        config = meta(size).config.to_dict()
        parts = {"": config, **{f"{name}.": config.pop(name) for name in ("vision_config", "slice_config")}}
        return {f"{part}{key}": value for part, values in parts.items() for key, value in values.items()}

    full, tiny = settings("full"), settings("tiny")

    assert full.keys() == tiny.keys()
    differ = {key.rpartition(".")[2] for key in full if full[key] != tiny[key]}
    sizes = r".*(size|layers|heads|embeddings|head_dim|token_id|resolution|query_num)"
    assert [key for key in differ if not re.fullmatch(sizes, key)] == []


def test_the_special_tokens_have_the_published_ids_and_tiny_has_them_at_the_same_places() -> None:
    published, tiny = tokens.ids(PUBLISHED), tokens.ids(TINY)

    assert published["!"] == tiny["!"] == 0
    assert {
        "<|begin_of_text|>": 128000,
        "<|end_of_text|>": 128001,
        "<unk>": 128002,
        "<|reserved_special_token_1|>": 128003,
        "<|start_header_id|>": 128006,
        "<|end_header_id|>": 128007,
        "<|reserved_special_token_4|>": 128008,
        "<|eot_id|>": 128009,
        "<image>": 128010,
        "</image>": 128011,
        "<slice>": 128020,
        "</slice>": 128021,
        "<|reserved_special_token_17|>": 128022,
        "<|reserved_special_token_250|>": 128255,
    }.items() <= published.items()
    assert len(published) == 1 + 256
    for token, number in tiny.items():
        assert token == "!" or number - TINY.ordinary == published[token] - PUBLISHED.ordinary


def test_the_vocabulary_is_as_large_as_the_tokens_need() -> None:
    """MiniCPM-V's tokens are in slots that Llama 3 had reserved: nothing was resized."""
    for size, d in (("full", PUBLISHED), ("tiny", TINY)):
        assert max(tokens.ids(d).values()) + 1 == meta(size).config.vocab_size == d.vocabulary
