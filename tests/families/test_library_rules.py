"""The rules by which any type of model is made small, fed, and taken apart: each by itself."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from harness.families import family
from harness.families.library.components import Parts, widest
from harness.families.library.keys import renamed, renames_of
from harness.families.library.listing import listed_types, reason_refused
from harness.families.library.overrides import Override, table
from harness.families.library.reach import unreached
from harness.families.library.shrinking import assign, shrink
from harness.families.library.targets import linear_names
from harness.families.library.types import model_types
from harness.refusal import Refused


def small(**settings: Any) -> Any:
    return shrink(SimpleNamespace(**settings))


def test_sizes_become_small_and_what_is_smaller_stays() -> None:
    config = small(hidden_size=4096, num_attention_heads=32, intermediate_size=11008, vocab_size=32000, head_dim=16)
    assert (config.hidden_size, config.num_attention_heads, config.intermediate_size) == (64, 2, 96)
    assert (config.vocab_size, config.head_dim) == (1024, 16)


def test_key_value_heads_stay_fewer_than_heads_where_they_were() -> None:
    assert small(num_attention_heads=32, num_key_value_heads=8).num_key_value_heads == 1
    assert small(num_attention_heads=32, num_key_value_heads=32).num_key_value_heads == 2


def test_one_layer_of_every_kind_is_kept_in_order_and_two_at_least() -> None:
    kinds = ["linear", "linear", "linear", "full"] * 6
    config = small(num_hidden_layers=24, layer_types=kinds)
    assert (config.layer_types, config.num_hidden_layers) == (["linear", "full"], 2)
    config = small(num_hidden_layers=24, layer_types=["full"] * 24)
    assert (config.layer_types, config.num_hidden_layers) == (["full", "full"], 2)


def test_kinds_that_two_lists_say_together_are_kept_together() -> None:
    config = small(num_hidden_layers=6, layer_types=["a", "a", "b", "a", "a", "b"], mlp_layer_types=["d"] + ["s"] * 5)
    assert (config.layer_types, config.mlp_layer_types) == (["a", "a", "b"], ["d", "s", "s"])


def test_settings_of_single_layers_go_with_the_layers_that_are_kept() -> None:
    config = small(num_hidden_layers=4, layer_types=["a", "a", "a", "b"], per_layer_config={3: {"wide": True}})
    assert config.per_layer_config == {1: {"wide": True}}


def test_experts_are_chosen_among_more() -> None:
    config = small(n_routed_experts=256, num_experts_per_tok=8, n_group=8, topk_group=4)
    assert (config.n_routed_experts, config.num_experts_per_tok, config.n_group, config.topk_group) == (4, 2, 1, 1)


def test_rotary_sections_keep_their_proportions_and_fill_half_a_head() -> None:
    rope = {"rope_type": "default", "mrope_section": [16, 24, 24]}
    config = small(hidden_size=4096, num_attention_heads=32, head_dim=128, rope_parameters=rope)
    assert config.rope_parameters["mrope_section"] == [4, 6, 6]
    assert rope["mrope_section"] == [16, 24, 24], "the configuration that it came from is left as it was"


def test_the_layer_whose_features_are_taken_stays_among_the_layers() -> None:
    assert small(num_hidden_layers=24, vision_feature_layer=-2).vision_feature_layer == -2
    assert small(num_hidden_layers=24, vision_feature_layer=[-24, 12, -1]).vision_feature_layer == [-2, 2, -1]


def test_nothing_is_dropped_by_chance() -> None:
    config = small(attention_dropout=0.1, hidden_dropout_prob=0.1, drop_path_rate=0.1, dropout_is_used=True)
    assert (config.attention_dropout, config.hidden_dropout_prob, config.drop_path_rate) == (0.0, 0.0, 0.0)
    assert config.dropout_is_used is True


def test_layers_that_share_their_weights_carry_no_adapter_nor_do_those_that_choose() -> None:
    from torch import nn

    model = nn.ModuleDict({name: nn.Linear(4, 4) for name in ("q_proj", "decoder", "gate")})
    model["head"] = nn.Linear(4, 4)
    model["head"].weight = model["decoder"].weight
    assert linear_names(model, "") == ("q_proj",)


def test_the_highest_modules_of_which_all_is_met_are_named_and_else_their_parts() -> None:
    paths = ["a.b.x", "a.b.y", "a.c.x", "d.x"]
    assert widest(["a.b.x", "a.b.y", "d.x"], paths) == ["a.b", "d"]
    assert widest(["a.c.x", "a.b.x"], paths) == ["a.c", "a.b.x"]
    assert widest(paths, paths) == ["a", "d"]


def test_what_lies_in_a_last_layer_is_found_at_any_depth() -> None:
    parts = Parts({"vision": ()}, {}, {"language": "text.layers"}, {"language": 28})
    override = Override(unreached={r"layers\.{last language}\.seen\.": "nothing looks there"})
    found = unreached(parts, SimpleNamespace(), override)
    assert [why for pattern, why in found.items() if re.match(pattern, "text.layers.27.seen.weight")] == [
        "nothing looks there"
    ]
    assert not any(re.match(pattern, "text.layers.26.seen.weight") for pattern in found)


def test_a_value_is_set_through_configurations_and_mappings() -> None:
    config = SimpleNamespace(text=SimpleNamespace(rope={"section": [1]}))
    assign(config, "text.rope.section", [2])
    assert config.text.rope == {"section": [2]}


def test_renames_are_rules_for_modules_not_lists_of_parameters() -> None:
    saved = {
        "model.vision.layers.0.a.weight": "vision.body.layers.0.a.weight",
        "model.vision.layers.1.a.weight": "vision.body.layers.1.a.weight",
        "lm_head.weight": "lm_head.weight",
    }
    rules = renames_of(saved)
    assert rules is not None
    assert len(rules) == 1
    assert [renamed(path, rules) for path in saved] == list(saved.values())


def test_renames_that_would_take_a_key_elsewhere_are_none() -> None:
    assert renames_of({"a.b.x": "b.a.x", "b.a.x": "a.b.x"}) is None


def test_the_types_are_those_that_the_library_itself_knows() -> None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    assert model_types() == dict(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)


def test_every_type_is_listed_with_its_sizes_or_with_a_reason() -> None:
    listed = {entry["name"]: entry for entry in listed_types()}
    assert list(listed) == [f"transformers:{name}" for name in model_types()]
    for name, entry in listed.items():
        assert bool(entry["sizes"]) != entry["description"].startswith("not to be had: "), name


def test_every_entry_of_the_table_is_a_type_and_says_why() -> None:
    for name, entry in table().items():
        assert name in model_types(), name
        assert entry.why or entry.refused, name
        assert all(entry.unreached.values()), name
        assert all(re.compile(pattern) for pattern in (*entry.unreached, *entry.centres)), name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("transformers:lava", "did you mean transformers:"),
        ("transformers:evolla", "it reads proteins, not pictures"),
        ("path:nowhere", "no file nowhere"),
    ],
)
def test_what_there_is_not_is_refused_by_name(name: str, says: str) -> None:
    with pytest.raises(Refused, match=re.escape(says)):
        family(name)


def test_what_is_refused_has_its_reason_in_the_list() -> None:
    assert reason_refused("pi0")
    assert not reason_refused("llava")
