"""A recipe survives JSON, and the schema says what the reader takes."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.recipe import COMPONENTS, Recipe, read_suite
from harness.recipe.schema import suite_schema

SUITES = sorted((Path(__file__).parents[2] / "suites").glob("llava*.yaml"))
SCHEMA = suite_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

quick = settings(deadline=None, max_examples=60)
positive = st.floats(min_value=1e-8, max_value=1e4)
names = st.lists(st.sampled_from(["q_proj", "v_proj", "fc1"]), min_size=1, unique=True)


@st.composite
def adapters(draw: st.DrawFn, components: list[str]) -> dict[str, Any]:
    return {
        "components": components,
        "rank": draw(st.integers(1, 64)),
        "alpha": draw(positive),
        "dropout": draw(st.floats(0, 0.99)),
        "targets": draw(st.one_of(names, st.just("all-linear"), st.just(r".*language.*\.(q|v)_proj"))),
        "exclude": draw(st.one_of(names, st.just("vision.*"))),
        "bias": draw(st.sampled_from(["none", "all", "lora_only"])),
        "rank_pattern": draw(st.dictionaries(st.sampled_from(["q_proj", "v_proj"]), st.integers(1, 9))),
        "alpha_pattern": draw(st.dictionaries(st.sampled_from(["q_proj", "v_proj"]), positive)),
        "init": draw(st.sampled_from([True, False, "gaussian"])),
        "rslora": draw(st.booleans()),
    }


@st.composite
def recipes(draw: st.DrawFn) -> dict[str, Any]:
    """Settings of a recipe that can work: adapters beside components tuned whole, or parts of components alone."""
    steps = draw(st.integers(1, 9))
    settings: dict[str, Any] = {
        "family": draw(st.sampled_from(["llava", "módulo:Ä"])),
        "steps": steps,
        "seed": draw(st.integers(-5, 2**40)),
        "checkpointing": draw(st.booleans()),
        "precision": draw(st.sampled_from(["fp32", "bf16", "fp16", "pure-bf16", "pure-fp16"])),
        "loss_scaler": draw(
            st.sampled_from([False, "auto", {"rule": "fp16"}, {"init_scale": 2.0**15, "backoff_factor": 0.5}])
        ),
        "optimizer": {
            "learning_rate": draw(positive),
            "clip_norm": draw(st.none() | positive),
            "warmup_steps": draw(st.integers(0, steps - 1)),
            "betas": draw(st.tuples(st.floats(0, 0.99), st.floats(0, 0.99))),
        },
        "data": {"mix": draw(st.lists(st.sampled_from(["image", "text", "several"]), min_size=1))},
        "save": {"max_shard_size": draw(st.sampled_from(["auto", "1.5GB", "200MiB"]))},
        "limits": {"memory_gb": draw(st.none() | positive)},
    }
    whole = [name for name in COMPONENTS if name != "language"]
    if draw(st.booleans()):
        settings["lora"] = draw(adapters(["language"]))
        settings["tune"] = draw(st.lists(st.sampled_from(whole), unique=True))
    else:
        extents = st.sampled_from(["all", {"last": 2}, {"named": ["q_proj", r"norm\d"]}])
        settings["tune"] = draw(st.dictionaries(st.sampled_from(COMPONENTS), extents, min_size=1))
    return settings


@quick
@given(recipes())
def test_a_recipe_survives_json(settings: dict[str, Any]) -> None:
    recipe = Recipe.model_validate(settings)

    whole = recipe.model_dump_json()
    short = json.dumps(recipe.model_dump(mode="json", exclude_defaults=True))

    assert Recipe.model_validate_json(whole) == recipe
    assert Recipe.model_validate(json.loads(short)) == recipe
    assert Recipe.model_validate_json(whole).model_dump_json() == whole


@quick
@given(recipes())
def test_the_schema_takes_every_recipe_as_written_and_as_dumped(settings: dict[str, Any]) -> None:
    dumped = Recipe.model_validate(settings).model_dump(mode="json")

    for written in (json.loads(json.dumps(settings)), dumped):
        assert [error.message for error in VALIDATOR.iter_errors({"recipes": {"r": written}})] == []


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.name)
def test_the_schema_takes_the_shipped_suites(path: Path) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(path.read_text()))] == []


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"lora": {"components": "vision"}}, id="one component of an adapter"),
        pytest.param({"lora": {"modules_to_save": "lm_head"}}, id="one module to save"),
        pytest.param({"tune": {"language": {"named": "norm"}}}, id="one name in tune"),
        pytest.param({"tune": "vision", "loss_scaler": False}, id="scaler off"),
        pytest.param({"tune": "vision", "loss_scaler": {"enabled": False}}, id="scaler off inside"),
        pytest.param({"lora": {}, "tune": None}, id="nothing to tune"),
    ],
)
def test_the_schema_takes_a_word_where_the_reader_does(settings: dict[str, Any]) -> None:
    assert Recipe.model_validate({"family": "f", **settings})
    assert [error.message for error in VALIDATOR.iter_errors({"recipes": {"r": settings}})] == []


def test_the_schema_takes_nothing_where_the_reader_does(tmp_path: Path) -> None:
    text = "family: f\ndescription:\nmatrix:\ndefaults: {tune: vision}\nrecipes: {r: }"
    (tmp_path / "suite.yaml").write_text(text)

    assert list(read_suite(tmp_path / "suite.yaml").recipes) == ["r"]
    assert [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(text))] == []


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"recipes": {"r": {}}, "recipies": {}}, id="at the top"),
        pytest.param({"recipes": {"r": {"stepz": 1}}}, id="in a recipe"),
        pytest.param({"recipes": {"r": {"lora": {"rnk": 1}}}}, id="in lora"),
        pytest.param({"recipes": {"r": {}}, "defaults": {"stepz": 1}}, id="in the defaults"),
        pytest.param({"family": "f"}, id="no recipes"),
        pytest.param({"recipes": {}}, id="no recipe"),
        pytest.param({"recipes": {"r": {"precision": "fp8"}}}, id="no such precision"),
        pytest.param({"recipes": {"r": {}}, "matrix": {"seed": []}}, id="empty axis"),
        pytest.param({"recipes": {"r": []}}, id="recipe is a list"),
        pytest.param({"recipes": {"r": {"data": {"mix": []}}}}, id="no samples"),
        pytest.param({"recipes": {"r": {"lora": {"components": []}}}}, id="no components"),
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(document: dict[str, Any]) -> None:
    assert list(VALIDATOR.iter_errors(document))
