"""At full size, on the meta device, the models have the published counts and keys; tiny is the same architecture."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import Any

import pytest

from harness.families import family
from harness.families.family import components_of

NAMES = ("llava-1.5-7b", "llava-1.5-13b")
TOTALS = {"llava-1.5-7b": 7_063_427_072, "llava-1.5-13b": 13_351_494_656}
KEYS = {"llava-1.5-7b": 686, "llava-1.5-13b": 758}
COUNTS = {
    "llava-1.5-7b": {
        "vision": 303_507_456,  # CLIP-L/14-336
        "connector": 20_979_712,
        "language": 6_607_605_760 - 131_334_144,  # published with the embeddings
        "embeddings": 131_334_144,
        "lm_head": 131_334_144,
    },
    "llava-1.5-13b": {
        "vision": 303_507_456,
        "connector": 31_467_520,
        # Per layer four square projections, three of the feed-forward and two norms; then the last norm.
        "language": 40 * (4 * 5120**2 + 3 * 5120 * 13824 + 2 * 5120) + 5120,
        "embeddings": 32064 * 5120,
        "lm_head": 32064 * 5120,
    },
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


def published_keys(vision_layers: int, language_layers: int) -> set[str]:
    """The keys of llava-hf's checkpoints, written out: no name is taken from the library at hand."""
    tower = "vision_tower.vision_model"
    return {
        f"{tower}.embeddings.class_embedding",
        f"{tower}.embeddings.patch_embedding.weight",
        f"{tower}.embeddings.position_embedding.weight",
        *(f"{tower}.{name}.{leaf}" for name in ("pre_layrnorm", "post_layernorm") for leaf in ("weight", "bias")),
        *(f"{tower}.encoder.layers.{n}.{name}" for n in range(vision_layers) for name in VISION_LAYER),
        *(f"multi_modal_projector.linear_{n}.{leaf}" for n in (1, 2) for leaf in ("weight", "bias")),
        *(f"language_model.model.layers.{n}.{name}" for n in range(language_layers) for name in LANGUAGE_LAYER),
        "language_model.model.embed_tokens.weight",
        "language_model.model.norm.weight",
        "language_model.lm_head.weight",
    }


@cache
def meta(name: str, size: str) -> Any:
    return family(name).meta_model(size)


def canonical(name: str, size: str) -> list[str]:
    return [family(name).naming.canonical(key) for key in meta(name, size).state_dict()]


@pytest.mark.parametrize("name", NAMES)
def test_the_counts_are_the_published_ones(name: str) -> None:
    counts: Counter[str] = Counter()
    for path, parameter in meta(name, "full").named_parameters():
        counts[components_of(family(name), path)] += parameter.numel()

    assert counts == COUNTS[name]
    assert counts.total() == TOTALS[name]


@pytest.mark.parametrize(("name", "language_layers"), [(NAMES[0], 32), (NAMES[1], 40)])
def test_the_keys_are_the_published_ones(name: str, language_layers: int) -> None:
    keys = canonical(name, "full")

    assert len(keys) == len(set(keys)) == KEYS[name]
    assert set(keys) == published_keys(24, language_layers)


@pytest.mark.parametrize("size", ["full", "tiny"])
def test_every_parameter_is_in_exactly_one_component(size: str) -> None:
    """Each key meets one rule, so that the order of the rules decides nothing."""
    rules = family(NAMES[0]).naming.components

    met = {
        key: [component for pattern, component in rules if re.match(pattern, key)] for key in canonical(NAMES[0], size)
    }

    assert {key: names for key, names in met.items() if len(names) != 1} == {}


def test_the_embeddings_are_not_tied() -> None:
    paths = dict(meta(NAMES[0], "full").named_parameters(remove_duplicate=False))

    assert len({id(parameter) for parameter in paths.values()}) == len(paths) == KEYS[NAMES[0]]


def without_numbers(path: str) -> str:
    return re.sub(r"\.\d+(?=\.|$)", ".N", path)


def test_tiny_has_the_modules_and_keys_of_full_and_fewer_layers() -> None:
    full, tiny = (
        {without_numbers(p): type(m) for p, m in meta(NAMES[0], size).named_modules()} for size in ("full", "tiny")
    )

    assert tiny == full
    assert {without_numbers(key) for key in canonical(NAMES[0], "tiny")} == {
        without_numbers(key) for key in canonical(NAMES[0], "full")
    }
    assert set(canonical(NAMES[0], "tiny")) == published_keys(3, 2)


def test_tiny_differs_from_full_in_sizes_alone() -> None:
    def settings(size: str) -> dict[str, Any]:
        config = meta(NAMES[0], size).config.to_dict()
        parts = {"": config, "text.": config.pop("text_config"), "vision.": config.pop("vision_config")}
        return {f"{part}{key}": value for part, values in parts.items() for key, value in values.items()}

    full, tiny = settings("full"), settings("tiny")

    assert full.keys() == tiny.keys()
    differ = {key.rpartition(".")[2] for key in full if full[key] != tiny[key]}
    sizes = r".*(size|layers|heads|length|embeddings|head_dim|token_(index|id))"
    assert [key for key in differ if not re.fullmatch(sizes, key)] == []


def test_tiny_has_layers_that_feed_the_connector_and_layers_that_do_not() -> None:
    """The last but one layer of the tower is read: gradient must reach some layer and miss another."""
    model = meta(NAMES[0], "tiny")

    assert model.config.vision_feature_layer == -2
    assert model.config.vision_config.num_hidden_layers >= 3
    assert model.config.text_config.num_hidden_layers >= 2
