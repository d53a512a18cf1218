"""What is refused, and how: one line with file, recipe, setting and remedy (the fixtures hold it to that)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.recipe import read_suite
from harness.refusal import Refused

Refusal = Callable[[str], str]
RefusalOfRecipe = Callable[[dict[str, Any]], str]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "the top level is not a mapping", id="empty"),
        pytest.param("# only a comment\n", "the top level is not a mapping", id="comment"),
        pytest.param("- a\n- b\n", "the top level is not a mapping", id="list"),
        pytest.param("42", "the top level is not a mapping", id="number"),
        pytest.param("recipes: {a: [", "is not YAML, line 1", id="not YAML"),
        pytest.param("a: \x00", "is not YAML", id="control character"),
        pytest.param("family: f\nrecipes:\n  a: {seed: 1}\n  a: {seed: 2}\n", "line 3: 'a' is given twice", id="twice"),
        pytest.param("family: f\nfamily: g\n", "'family' is given twice", id="twice at the top"),
        pytest.param("family: f\nrecipes: {a: {lora: {rank: 1, rank: 2}}}", "'rank' is given twice", id="twice inside"),
        pytest.param("recipes: !!python/name:os.system {}", "is not YAML", id="python object"),
        pytest.param("family: f\n", "there are no recipes", id="no recipes"),
        pytest.param("family: f\nrecipes: {}\n", "there are no recipes", id="none in recipes"),
        pytest.param("family: f\nrecipes: [a]\n", "there are no recipes", id="recipes are a list"),
        pytest.param("family: f\nrecipes: {a: word}\n", "recipe a is not a mapping", id="recipe is a word"),
        pytest.param("family: f\ndefaults: [1]\nrecipes: {a: {}}\n", "defaults is not a mapping", id="defaults"),
        pytest.param("family: f\nmatrix: [1]\nrecipes: {a: {}}\n", "matrix is not a mapping", id="matrix"),
        pytest.param("family: f\nmatrix: {seed: 1}\nrecipes: {a: {}}\n", "seed is not a list", id="axis is a value"),
        pytest.param("family: f\nmatrix: {seed: []}\nrecipes: {a: {}}\n", "seed is not a list", id="axis is empty"),
        pytest.param("recipes: {a: {tune: vision}}\n", ": a: family is missing; name one", id="no family"),
        pytest.param("recipies: {}\n", "unknown key recipies; did you mean recipes?", id="top-level key"),
        pytest.param("family: f\nzzz: {}\n", "unknown key zzz; a suite has family", id="top-level key like no other"),
    ],
)
def test_a_file_that_is_no_suite_is_refused(refusal: Refusal, text: str, said: str) -> None:
    assert said in refusal(text)


def test_an_error_in_one_cell_of_the_matrix_names_that_cell(refusal: Refusal) -> None:
    text = "family: f\nmatrix: {precision: [fp32, fp8]}\nrecipes: {a: {tune: vision}}"

    assert refusal(text).startswith(": a[fp8]: precision: ")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param({"optimzer": {}}, "unknown setting optimzer; did you mean optimizer?", id="in the recipe"),
        pytest.param({"lora": {"rnk": 2}}, "unknown setting lora.rnk; did you mean rank?", id="in lora"),
        pytest.param({"data": {"bach_size": 2}}, "data.bach_size; did you mean batch_size?", id="in data"),
        pytest.param({"qqq": 1}, "unknown setting qqq; harness schema lists every setting", id="like no other"),
        pytest.param(
            {"tune": {"language": {"nammed": "x"}}},
            "did you mean named?",
            id="in tune",
            marks=pytest.mark.xfail(reason="the settings of tune are not among the suggestions"),
        ),
    ],
)
def test_an_unknown_setting_is_refused_with_the_nearest(
    refusal_of_recipe: RefusalOfRecipe, settings: dict[str, Any], said: str
) -> None:
    assert said in refusal_of_recipe({"tune": "connector", **settings})


@pytest.mark.parametrize(
    ("settings", "setting"),
    [
        pytest.param({"tune": "conector"}, "tune", id="unknown component"),
        pytest.param({"tune": {"vision": 3}}, "tune", id="extent"),
        pytest.param({"tune": {"vision": {"last": 0}}}, "tune.0.last", id="no layer"),
        pytest.param({"tune": {"vision": {"named": "("}}}, "tune.0.named", id="regex in named"),
        pytest.param({"lora": {"targets": "["}}, "lora.targets", id="regex in targets"),
        pytest.param({"lora": {"exclude": "*"}}, "lora.exclude", id="regex in exclude"),
        pytest.param({"lora": {"rank": 0}}, "lora.rank", id="rank"),
        pytest.param({"lora": {"dropout": 1}}, "lora.dropout", id="dropout"),
        pytest.param({"lora": {"components": "visoin"}}, "lora.components.0", id="component of an adapter"),
        pytest.param({"precision": "fp8"}, "precision", id="precision"),
        pytest.param({"precision": 16}, "precision", id="precision is a number"),
        pytest.param({"loss_scaler": "maybe"}, "loss_scaler.enabled", id="scaler"),
        pytest.param({"steps": "many"}, "steps", id="steps"),
        pytest.param({"save": {"max_shard_size": "1 gig"}}, "save.max_shard_size", id="shard size"),
        pytest.param({"data": {"mix": ["sound"]}}, "data.mix.0", id="kind of sample"),
        pytest.param({"optimizer": {"learning_rate": float("nan")}}, "optimizer.learning_rate", id="rate is nan"),
        pytest.param({"optimizer": {"component_rates": {"eyes": 1}}}, "optimizer.component_rates.eyes", id="rates"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_name(
    refusal_of_recipe: RefusalOfRecipe, settings: dict[str, Any], setting: str
) -> None:
    assert refusal_of_recipe({"tune": "connector", **settings}).startswith(setting)


def _bug(settings: dict[str, Any], reason: str, name: str) -> Any:
    return pytest.param(settings, id=name, marks=pytest.mark.xfail(reason=reason))


@pytest.mark.parametrize(
    "settings",
    [
        _bug({"tune": 3}, "escapes as a TypeError", "tune is a number"),
        _bug({"tune": True}, "escapes as a TypeError", "tune is true"),
        _bug({"limits": {"seconds": float("inf")}, "tune": "vision"}, "becomes null in JSON", "infinite time"),
        _bug({"optimizer": {"learning_rate": float("inf")}, "tune": "vision"}, "is taken", "infinite rate"),
        _bug({"optimizer": {"betas": [2, -1]}, "tune": "vision"}, "fails when the optimizer is made", "betas"),
        _bug({"data": {"mix": []}, "tune": "vision"}, "is refused after the model is built", "no samples"),
        _bug({"lora": {"targets": []}}, "peft raises after the model is built", "no targets"),
        _bug({"lora": {"rank_pattern": {"(": 4}}}, "peft raises after the model is built", "regex in rank_pattern"),
        _bug({"lora": {"layers_to_transform": [0], "targets": ".*q_proj"}}, "peft raises", "layers beside a regex"),
        _bug({"lora": {"layers_pattern": "h", "targets": ["q_proj"]}}, "peft raises", "pattern without layers"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_read(
    refusal_of_recipe: RefusalOfRecipe, settings: dict[str, Any]
) -> None:
    assert next(iter(settings)) in refusal_of_recipe(settings)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"none\.yaml: cannot be read: No such file.*; name an existing suite file"):
        read_suite(tmp_path / "none.yaml")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read: Is a directory; name"):
        read_suite(tmp_path)


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_bytes(bytes(range(128, 256)))

    with pytest.raises(Refused, match=r"s\.yaml: is not text; name a YAML file"):
        read_suite(tmp_path / "s.yaml")


def test_a_missing_data_file_is_refused(refusal_of_recipe: RefusalOfRecipe, tmp_path: Path) -> None:
    line = refusal_of_recipe({"tune": "vision", "data": {"source": "none.json"}})

    assert line.startswith(f"data.source: no file {tmp_path / 'none.json'}; name an existing")


def test_a_missing_start_directory_is_refused(refusal_of_recipe: RefusalOfRecipe, tmp_path: Path) -> None:
    line = refusal_of_recipe({"tune": "vision", "start_from": "none"})

    assert line.startswith(f"start_from: no directory {tmp_path / 'none'}; name a saved directory")


def test_a_start_directory_without_configuration_is_refused(refusal_of_recipe: RefusalOfRecipe, tmp_path: Path) -> None:
    (tmp_path / "start").mkdir()

    assert "has no config.json" in refusal_of_recipe({"tune": "vision", "start_from": "start"})
