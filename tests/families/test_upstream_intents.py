"""The intent files of upstream systems, against the keys and counts that are published.

The families give the keys, on the meta device and at full size; the counts are the published ones.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.families import family
from harness.intent import Intent
from harness.intents import intents_of
from harness.intents import read_intent as intent_at
from harness.refusal import Refused

UPSTREAM = Path(__file__).parents[2] / "suites" / "upstream"
RESAMPLER, EMBEDDINGS, VPM = 89_038_848, 525_336_576, 417_792_240
CONNECTOR, SECOND = 27_943_168, 6_766_358_784
EVA, ZEPHYR = 4_280_795_904, 7_241_732_096
OMNI_RESAMPLER = 91_791_360 - 64 * 4096  # its positions never train
ADDED = 9  # tokens of OmniLMM's own: for a picture and its two ends, and for both ends of box, ref and quad

# By file: the family that has the keys; by intent, how many parameters of the model itself train, and of its adapter.
PUBLISHED: dict[str, tuple[str, dict[str, tuple[int, int]]]] = {
    "minicpm_v": (
        "minicpm-llama3-v-2.5",
        {
            "vision": (506_831_088, 0),
            "llm": (8_119_300_096, 0),
            "vision+llm": (8_537_092_336, 0),
            "neither": (RESAMPLER, 0),
            "lora-qkv": (652_124_160 - 37_748_736, 37_748_736),
            "lora-qkvo": (EMBEDDINGS + RESAMPLER, 37_748_736 + 32 * 64 * (4096 + 4096)),
            "lora-qkv+vision": (EMBEDDINGS + RESAMPLER + VPM, 37_748_736),
        },
    ),
    "mini_gemini": (
        "mini-gemini-7b",
        {
            "tune_mm_mlp_adapter": (CONNECTOR, 0),
            "stage-2": (SECOND, 0),
            "freeze_backbone": (CONNECTOR + 32_000 * 4096, 0),
            "freeze_mm_mlp_adapter": (SECOND - 20_979_712, 0),
            "optimize_vision_tower": (SECOND + 151_154_688, 0),
            "optimize_vision_tower_aux": (SECOND + 25_234_560, 0),
            "lora_enable": (CONNECTOR, 159_907_840),
        },
    ),
    "omnilmm": (
        "omnilmm-12b",
        {
            "tune_clip": (EVA + OMNI_RESAMPLER + ZEPHYR + ADDED * 8192, 0),
            "without-tune_clip": (OMNI_RESAMPLER + ZEPHYR + ADDED * 8192, 0),
            "tune_mm_mlp_adapter": (OMNI_RESAMPLER + (32_000 + ADDED) * 4096, 0),
        },
    ),
    "minimind": ("minimind-v3", {"full_sft": (63_912_192, 0), "lora": (393_216, 0)}),
    "minimind_v": (
        "minimind-3v",
        {"freeze_llm-2": (1_182_720, 0), "freeze_llm-1": (15_931_776, 0), "freeze_llm-0": (65_094_912, 0)},
    ),
}
OTHER_KEYS = {("omnilmm", "without-tune_clip"): "omnilmm-12b-no-tune-clip"}
CASES = [(file, name) for file, (_, counts) in PUBLISHED.items() for name in counts]


@cache
def published(name: str) -> tuple[dict[str, int], dict[str, tuple[int, int]]]:
    """Of a full model: elements by key, none for one that shares its tensor, and the sizes of linear layers by path."""
    from torch import nn

    chosen = family(name)
    model = chosen.meta_model("full")
    keys = {chosen.naming.canonical(path): 0 for path, _ in model.named_parameters(remove_duplicate=False)}
    keys |= {chosen.naming.canonical(path): one.numel() for path, one in model.named_parameters()}
    linear = {
        path: (module.in_features, module.out_features)
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear)
    }
    return keys, linear


def case(file: str, name: str) -> tuple[Intent, dict[str, int], dict[str, tuple[int, int]]]:
    """The intent, and what the model that it is about has."""
    keys, linear = published(OTHER_KEYS.get((file, name), PUBLISHED[file][0]))
    keys = dict(keys)
    if (file, name) == ("minimind", "lora"):  # upstream's own: two matrices of rank 16 on every square layer
        for path, (inputs, outputs) in linear.items():
            if inputs == outputs:
                keys |= {f"{path}.lora.A.weight": 16 * inputs, f"{path}.lora.B.weight": 16 * outputs}
    return intent_at(f"{UPSTREAM / file}.yaml::{name}"), keys, linear


def met(intent: Intent, linear: dict[str, tuple[int, int]]) -> list[tuple[int, int]]:
    """The layers that the intent's adapter sits on."""
    assert intent.adapter is not None
    return [size for path, size in linear.items() if re.fullmatch(str(intent.adapter.targets), path)]


def test_every_file_and_every_intent_of_it_has_its_published_counts() -> None:
    found = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in UPSTREAM.glob("*.yaml")}

    assert {file: set(intents_of(value, file)) for file, value in found.items()} == {
        file: set(counts) for file, (_, counts) in PUBLISHED.items()
    }


@pytest.mark.parametrize(("file", "name"), CASES)
def test_as_many_parameters_train_as_is_published(file: str, name: str) -> None:
    intent, keys, linear = case(file, name)
    trained = sum(count for key, count in keys.items() if intent.names_as_trained(key) and not intent.is_fixed(key))
    adapter = 0
    if intent.adapter and intent.adapter.rank:
        adapter = sum(intent.adapter.rank * (inputs + outputs) for inputs, outputs in met(intent, linear))

    assert (trained, adapter) == PUBLISHED[file][1][name]


@pytest.mark.parametrize(("file", "name"), CASES)
def test_every_pattern_is_about_some_key(file: str, name: str) -> None:
    intent, keys, linear = case(file, name)
    patterns = (*intent.trains, *intent.out_of_reach, *intent.fixed, *intent.save.left_out, *intent.save.holds)

    assert [one for one in patterns if not any(re.match(one, key) for key in keys)] == []
    assert {key for group in intent.ties for key in group} <= set(keys)
    assert not intent.adapter or met(intent, linear)


@pytest.mark.parametrize(("file", "name"), CASES)
def test_each_key_is_in_the_component_that_the_family_has_it_in(file: str, name: str) -> None:
    intent, keys, _ = case(file, name)
    naming = family(PUBLISHED[file][0]).naming

    own = {key: intent.naming.component(intent.naming.canonical(key)) for key in keys}

    assert own == {key: naming.component(key) for key in keys}
    assert all(any(component == one for one in own.values()) for _, component in intent.components)


@pytest.mark.parametrize(
    ("text", "given", "refusal"),
    [
        pytest.param("intents: {a: {}, b: {}}", "", "has several intents; there are a, b", id="unnamed"),
        pytest.param("intents: {a: {}}", "::c", "has no intent 'c'; there are a", id="unknown"),
        pytest.param("trains: [x]", "::c", "has one intent", id="named without need"),
        pytest.param("intents: {a: 3}", "::a", "intents: a is no mapping", id="no mapping"),
        pytest.param("intents: []", "::a", "common and intents are not mappings", id="list"),
        pytest.param("{intents: {a: {}}, comon: {}}", "::a", "unknown: comon", id="misspelt"),
        pytest.param("intents: {a: {trians: [x]}}", "::a", "trians", id="misspelt within"),
        pytest.param("[]", "", "there is no intent", id="nothing"),
    ],
)
def test_what_is_no_intent_is_refused(text: str, given: str, refusal: str, tmp_path: Path) -> None:
    (tmp_path / "intent.yaml").write_text(text, encoding="utf-8")

    with pytest.raises(Refused, match=re.escape(refusal)):
        intent_at(f"{tmp_path / 'intent.yaml'}{given}")


def test_of_what_intents_have_in_common_each_may_change_a_part(tmp_path: Path) -> None:
    common: dict[str, Any] = {"weights": "bfloat16", "save": {"what": "full", "tokenizer": True}}
    intents = {"a": {"trains": ["x"]}, "b": {"weights": "float32", "save": {"what": "adapter"}}}
    (tmp_path / "intent.yaml").write_text(yaml.safe_dump({"common": common, "intents": intents}), encoding="utf-8")

    first, second = (intent_at(f"{tmp_path / 'intent.yaml'}::{name}") for name in intents)

    assert (first.trains, first.weights, first.save.what, first.save.tokenizer) == (("x",), "bfloat16", "full", True)
    assert (second.trains, second.weights, second.save.what, second.save.tokenizer) == ((), "float32", "adapter", True)
