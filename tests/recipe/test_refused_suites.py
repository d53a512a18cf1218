"""What is refused, and how: one line with file, recipe, setting and remedy (the fixtures hold it to that)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.families.llava import LLAVA_7B
from harness.recipe import Recipe, read_suite
from harness.refusal import Refused

INF = float("inf")
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
        pytest.param("[" * 100_000, "is not YAML: it is nested too deep", id="nested too deep"),
        pytest.param("a: &a {b: *a}\nrecipes: *a\n", "unknown key a", id="holds itself"),
        pytest.param(
            "family: f\ndefaults: &d {lora: *d}\nrecipes: {a: &a {lora: *a}}", "holds itself", id="mappings in a circle"
        ),
        pytest.param("a: 2026-13-45", "is not YAML: month must be in 1..12", id="no such day"),
        pytest.param("a: !!bool maybe", "is not YAML: 'maybe'", id="value of another tag"),
        pytest.param("family: f\ndescription: off\nrecipes: {a: {}}", "description is not text", id="description"),
        pytest.param("family: f\nrecipes: {a: []}\n", "recipe a is not a mapping", id="recipe is an empty list"),
        pytest.param("family: f\ndefaults: 0\nrecipes: {a: {}}\n", "defaults is not a mapping", id="defaults are 0"),
        pytest.param("family: f\nmatrix: ''\nrecipes: {a: {}}\n", "matrix is not a mapping", id="matrix is no word"),
        pytest.param("family: f\nmatrix: {1: [2]}\nrecipes: {a: {}}", "matrix is not a mapping", id="axis is a number"),
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
        pytest.param({"tune": {"language": {"nammed": "x"}}}, "did you mean named?", id="in tune"),
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


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param({"tune": 3}, "tune: no component is named (got 3); write", id="tune is a number"),
        pytest.param({"tune": True}, "tune: no component is named (got True); write", id="tune is true"),
        pytest.param({"tune": 0}, "tune: no component is named (got 0); write", id="tune is zero"),
        pytest.param({"tune": {"vision": 1}}, "tune: vision: 1 is no extent", id="one is not all"),
        pytest.param({"tune": {"vision": {"named": []}}}, "tune: vision: {'named': []} names no part", id="none named"),
        pytest.param({"tune": {"vision": {"named": ""}}}, "tune.0.named.0: ", id="empty name"),
        pytest.param({"tune": {"vision": {"component": "audio"}}}, "tune: vision: ", id="component of a component"),
        pytest.param({"tune": "vision", "limits": {"seconds": INF}}, "limits.seconds: ", id="infinite time"),
        pytest.param({"tune": "vision", "optimizer": {"learning_rate": INF}}, "optimizer.learning_rate", id="rate"),
        pytest.param({"tune": "vision", "optimizer": {"component_rates": {"vision": INF}}}, "vision: ", id="of one"),
        pytest.param({"tune": "vision", "optimizer": {"clip_norm": INF}}, "optimizer.clip_norm", id="infinite norm"),
        pytest.param({"lora": {"alpha_pattern": {"q": INF}}}, "lora.alpha_pattern.q: ", id="infinite alpha"),
        pytest.param({"tune": "vision", "optimizer": {"betas": [2, -1]}}, "optimizer.betas.0: ", id="betas"),
        pytest.param({"tune": "vision", "data": {"mix": []}}, "data.mix: ", id="no samples"),
        pytest.param({"lora": {"components": []}}, "lora.components: ", id="no components"),
        pytest.param({"lora": {"targets": []}}, "lora.targets: a target is empty", id="no targets"),
        pytest.param({"lora": {"targets": ""}}, "lora.targets: a target is empty", id="empty target"),
        pytest.param({"lora": {"rank_pattern": {"(": 4}}}, "lora.rank_pattern.(: '(' is not", id="rank_pattern"),
        pytest.param({"lora": {"alpha_pattern": {"*": 4}}}, "lora.alpha_pattern.*: '*' is not", id="alpha_pattern"),
        pytest.param({"lora": {"modules_to_save": "("}}, "lora.modules_to_save.0: '(' is not", id="modules_to_save"),
        pytest.param({"lora": {"rank_pattern": {"q": 0}}}, "lora.rank_pattern.q: ", id="rank of a pattern"),
        pytest.param(
            {"lora": {"layers_to_transform": [0], "targets": ".*q_proj"}},
            "lora.layers_to_transform beside lora.targets '.*q_proj'",
            id="layers beside a regex",
        ),
        pytest.param({"lora": {"layers_to_transform": [-1]}}, "lora.layers_to_transform.0: ", id="layer below none"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_read(
    refusal_of_recipe: RefusalOfRecipe, settings: dict[str, Any], said: str
) -> None:
    assert said in refusal_of_recipe(settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"tune": {"vision": {"named": "(?i)NORM"}}}, "tune.0.named.0: '(?i)NORM' becomes a part"),
        ({"lora": {"rank_pattern": {"(?i)Q": 4}}}, "lora.rank_pattern.(?i)Q: '(?i)Q' becomes a part"),
        ({"lora": {"layers_pattern": "(?i)H", "layers_to_transform": [0]}}, "lora.layers_pattern: '(?i)H' becomes"),
    ],
    ids=["named", "rank_pattern", "layers_pattern"],
)
def test_flags_for_a_whole_expression_are_refused_where_it_is_a_part(
    refusal_of_recipe: RefusalOfRecipe, settings: dict[str, Any], said: str
) -> None:
    line = refusal_of_recipe(settings)

    assert said in line
    assert "write '(?i:" in line


def test_flags_of_a_part_work_in_the_intent() -> None:
    settings = {"tune": {"language": {"named": ["(?i:NORM)", "q_proj"]}}}
    intent = LLAVA_7B.intent(Recipe.model_validate({"family": "llava-1.5-7b", **settings}))

    assert intent.names_as_trained("language_model.model.layers.0.input_layernorm.weight")
    assert not intent.names_as_trained("language_model.model.layers.0.mlp.up_proj.weight")


def test_names_that_do_not_go_together_are_refused(refusal_of_recipe: RefusalOfRecipe) -> None:
    line = refusal_of_recipe({"tune": {"vision": {"named": ["(?P<n>a)", "(?P<n>b)"]}}})

    assert line.startswith("tune.0.named: '(?P<n>a)|(?P<n>b)' is not a regular expression: redefinition of group")


def test_a_long_value_is_cut_in_its_refusal(refusal_of_recipe: RefusalOfRecipe) -> None:
    assert len(refusal_of_recipe({"tune": "vision", "seed": "x" * 10_000})) < 250


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"none\.yaml: cannot be read: No such file.*; name an existing suite file"):
        read_suite(tmp_path / "none.yaml")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read: Is a directory; name"):
        read_suite(tmp_path)


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_bytes(bytes(range(128, 256)))

    with pytest.raises(Refused, match=r"s\.yaml: is not YAML: it is not text; name an existing suite file"):
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
