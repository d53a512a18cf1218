"""What a suite file means: defaults, matrix, ids."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.recipe import Suite, read_suite
from harness.recipe.fields import Tune

Read = Callable[[str], Suite]


def test_a_suite_keeps_the_order_of_its_file(read: Read) -> None:
    suite = read("family: f\ndescription: two\nrecipes: {b: {tune: vision}, a: {tune: connector}}")

    assert list(suite.recipes) == ["b", "a"]
    assert (suite.name, suite.description) == ("suite", "two")


def test_defaults_reach_every_recipe_and_its_own_settings_win(read: Read) -> None:
    suite = read(
        """
        family: f
        defaults: {steps: 7, seed: 3, optimizer: {learning_rate: 0.5, weight_decay: 0.1}}
        recipes:
          plain: {tune: connector}
          own: {tune: connector, seed: 4, optimizer: {weight_decay: 0.2}}
        """
    )
    plain, own = suite.recipes["plain"], suite.recipes["own"]

    assert (plain.steps, plain.seed, plain.optimizer.weight_decay) == (7, 3, 0.1)
    assert (own.steps, own.seed, own.optimizer.weight_decay) == (7, 4, 0.2)
    assert own.optimizer.learning_rate == 0.5


def test_tune_replaces_the_defaults_whole(read: Read) -> None:
    suite = read("family: f\ndefaults: {tune: {connector: all}}\nrecipes: {r: {tune: {vision: all}}, same: {}}")

    assert [t.component for t in suite.recipes["r"].tune] == ["vision"]
    assert [t.component for t in suite.recipes["same"].tune] == ["connector"]


def test_a_recipe_may_name_another_family(read: Read) -> None:
    suite = read("family: f\nrecipes: {a: {tune: vision}, b: {family: g, tune: vision}}")

    assert [recipe.family for recipe in suite.recipes.values()] == ["f", "g"]


def test_a_matrix_makes_one_recipe_per_cell_and_ids_say_which(read: Read) -> None:
    suite = read(
        """
        family: f
        matrix: {precision: [fp32, bf16], optimizer.accumulation: [1, 2]}
        recipes: {lora: {lora: {rank: 4}, optimizer: {weight_decay: 0.1}}}
        """
    )

    assert list(suite.recipes) == ["lora[fp32-1]", "lora[fp32-2]", "lora[bf16-1]", "lora[bf16-2]"]
    last = suite.recipes["lora[bf16-2]"]
    assert (last.precision, last.optimizer.accumulation, last.optimizer.weight_decay) == ("bf16", 2, 0.1)


def test_the_matrix_wins_over_the_defaults(read: Read) -> None:
    suite = read("family: f\ndefaults: {steps: 9}\nmatrix: {steps: [5, 6]}\nrecipes: {r: {tune: vision}}")

    assert {name: recipe.steps for name, recipe in suite.recipes.items()} == {"r[5]": 5, "r[6]": 6}


@pytest.mark.parametrize(
    ("own", "axis", "ids"),
    [
        pytest.param("precision: fp32", "precision: [fp32, bf16]", ["r"], id="same key"),
        pytest.param("optimizer: {accumulation: 1}", "optimizer.accumulation: [2, 3]", ["r"], id="dotted key"),
        pytest.param("optimizer: {accumulation: 1}", "optimizer.eps: [1, 2]", ["r[1]", "r[2]"], id="neighbour"),
        pytest.param("lora: ", "lora.rank: [2, 4]", ["r"], id="whole mapping, none"),
    ],
)
def test_a_recipe_own_key_takes_it_out_of_that_axis(read: Read, own: str, axis: str, ids: list[str]) -> None:
    suite = read(f"family: f\nmatrix: {{{axis}}}\nrecipes: {{r: {{tune: vision, {own}}}}}")

    assert list(suite.recipes) == ids
    assert all(recipe.precision == "fp32" for recipe in suite.recipes.values())
    assert all(recipe.optimizer.accumulation == 1 for recipe in suite.recipes.values())


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("vision", {"vision": {}}, id="string"),
        pytest.param("[vision, connector]", {"vision": {}, "connector": {}}, id="list"),
        pytest.param("{vision: all, connector: }", {"vision": {}, "connector": {}}, id="mapping to all or nothing"),
        pytest.param("{vision: true}", {"vision": {}}, id="mapping to true"),
        pytest.param("{language: {last: 2}}", {"language": {"last": 2}}, id="last layers"),
        pytest.param("{language: {named: norm}}", {"language": {"named": ("norm",)}}, id="named, one"),
        pytest.param("{language: {named: [a, b]}}", {"language": {"named": ("a", "b")}}, id="named, several"),
        pytest.param("[vision, {language: {last: 1}}]", {"vision": {}, "language": {"last": 1}}, id="mixed list"),
        pytest.param("[{component: vision, last: 3}]", {"vision": {"last": 3}}, id="long form"),
        pytest.param("{component: vision, last: 3}", {"vision": {"last": 3}}, id="long form, one"),
        pytest.param("llm", {"language": {}, "embeddings": {}, "lm_head": {}}, id="union"),
        pytest.param("{towers: all}", {"vision": {}, "vision_aux": {}, "audio": {}}, id="union in a mapping"),
    ],
)
def test_tune_can_be_written_in_short(read: Read, written: str, expected: dict[str, dict[str, object]]) -> None:
    tune = read(f"family: f\nrecipes: {{r: {{tune: {written}}}}}").recipes["r"].tune

    seen = {one.component: one.model_dump(include={"last", "named"}, exclude_defaults=True) for one in tune}
    assert seen == expected
    assert all(isinstance(one, Tune) for one in tune)


@pytest.mark.parametrize(
    ("written", "word", "enabled"),
    [
        pytest.param("off", "off", False, id="off"),
        pytest.param("on", "on", True, id="on"),
        pytest.param("auto", "auto", True, id="auto"),
        pytest.param("{enabled: 'off'}", "off", False, id="quoted inside"),
        pytest.param("{enabled: off}", "off", False, id="bare inside"),
    ],
)
def test_a_bare_on_or_off_is_a_word(read: Read, written: str, word: str, enabled: bool) -> None:
    recipe = read(f"family: f\nrecipes: {{r: {{tune: vision, precision: fp16, loss_scaler: {written}}}}}").recipes["r"]

    assert (recipe.loss_scaler.enabled, recipe.scaler_enabled) == (word, enabled)


@pytest.mark.parametrize(
    ("settings", "saves"),
    [
        ("tune: vision", "full"),
        ("lora: {rank: 4}", "adapter"),
        ("adapter: {method: ia3}", "adapter"),
        ("tune: vision, save: {what: nothing}", "nothing"),
    ],
)
def test_what_is_saved_follows_from_the_adapter(read: Read, settings: str, saves: str) -> None:
    assert read(f"family: f\nrecipes: {{r: {{{settings}}}}}").recipes["r"].saves == saves


def test_paths_are_relative_to_the_suite(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text("[]")
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "config.json").write_text("{}")
    suite = tmp_path / "s.yaml"
    suite.write_text("family: f\nrecipes: {r: {tune: vision, data: {source: data.json}, start_from: start}}")

    recipe = read_suite(suite).recipes["r"]

    assert (recipe.data.source, recipe.start_from) == (str(tmp_path / "data.json"), str(tmp_path / "start"))


def test_an_anchor_can_be_merged(read: Read) -> None:
    suite = read("family: f\nrecipes:\n  a: &a {tune: vision, steps: 3}\n  b: {<<: *a, tune: connector}\n")

    assert [(r.tune[0].component, r.steps) for r in suite.recipes.values()] == [("vision", 3), ("connector", 3)]


def test_an_anchor_that_merges_another_can_be_merged_before_it_is_read(read: Read) -> None:
    suite = read(
        """
        family: f
        defaults: {optimizer: &fast {<<: &base {accumulation: 2, eps: 0.5}, eps: 0.25}}
        recipes:
          a: {tune: vision, optimizer: {<<: *fast, accumulation: 3}}
          b: {tune: vision, optimizer: {<<: [*base, *fast]}}
        """
    )

    settings = [(r.optimizer.accumulation, r.optimizer.eps) for r in suite.recipes.values()]
    assert settings == [(3, 0.25), (2, 0.5)]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("matrix: {precision: [bf16, bf16]}\nrecipes: {r: {tune: vision}}", id="value twice"),
        pytest.param(
            "matrix: {precision: [fp32, bf16]}\nrecipes: {r: {tune: vision}, 'r[bf16]': {tune: all, precision: bf16}}",
            id="name and cell",
        ),
        pytest.param("recipes: {1: {tune: vision}, '1': {tune: connector}}", id="number and word"),
    ],
)
def test_two_recipes_of_one_id_are_refused(refusal: Callable[[str], str], text: str) -> None:
    assert "twice" in refusal(f"family: f\n{text}")
