"""A recipe that starts from what another recipe of its suite has saved."""

from collections.abc import Callable

import pytest

from harness.recipe import Recipe, Suite
from harness.recipe.fields import EarlierRecipe

Read = Callable[[str], Suite]
Refusal = Callable[[str], str]


def earlier(recipe: Recipe) -> EarlierRecipe:
    assert isinstance(recipe.start_from, EarlierRecipe)
    return recipe.start_from


def test_the_earlier_recipe_is_found_by_name_wherever_it_stands(read: Read) -> None:
    suite = read("family: f\nrecipes: {b: {tune: vision, start_from: {recipe: a}}, a: {tune: connector}}")

    assert earlier(suite.recipes["b"]).settings == suite.recipes["a"]


def test_in_a_matrix_it_is_the_one_in_the_same_place(read: Read) -> None:
    suite = read(
        """
        family: f
        matrix: {precision: [fp32, bf16]}
        recipes: {a: {tune: connector}, b: {tune: vision, start_from: {recipe: a}}}
        """
    )

    assert earlier(suite.recipes["b[bf16]"]).recipe == "a[bf16]"


def test_stages_may_follow_each_other(read: Read) -> None:
    suite = read(
        """
        family: f
        recipes:
          a: {tune: connector}
          b: {tune: vision, start_from: {recipe: a}}
          c: {tune: vision, start_from: {recipe: b}}
        """
    )

    assert earlier(earlier(suite.recipes["c"]).settings).recipe == "a"


def test_a_stage_survives_being_written_and_read(read: Read) -> None:
    recipe = read("family: f\nrecipes: {b: {tune: vision, start_from: {recipe: a}}, a: {tune: connector}}").recipes["b"]

    again = Recipe.model_validate_json(recipe.model_dump_json(exclude_defaults=True))

    assert Recipe.model_validate(earlier(again).settings) == earlier(recipe).settings


@pytest.mark.parametrize(
    ("recipes", "words"),
    [
        (
            "{b: {tune: vision, start_from: {recipe: connecter}}, connector: {tune: connector}}",
            "did you mean connector",
        ),
        ("{a: {tune: vision, start_from: {recipe: a}}}", "a starts from a"),
        (
            "{a: {tune: vision, start_from: {recipe: b}}, b: {tune: vision, start_from: {recipe: a}}}",
            "a starts from b starts from a",
        ),
        ("{b: {tune: vision, start_from: {recipe: a}}, a: {lora: {rank: 2}}}", "a leaves no whole model"),
        (
            "{b: {tune: vision, start_from: {recipe: a}}, a: {tune: vision, save: {what: partial}}}",
            "a leaves no whole model",
        ),
        ("{b: {tune: vision, start_from: {recipe: a}}, a: {family: g, tune: vision}}", "is of the family g"),
    ],
    ids=["unknown", "itself", "a circle", "an adapter", "a part", "another family"],
)
def test_what_cannot_be_started_from_is_refused_in_one_line(refusal: Refusal, recipes: str, words: str) -> None:
    line = refusal(f"family: f\nrecipes: {recipes}")

    assert words in line
    assert "\n" not in line


@pytest.mark.parametrize(("written", "names"), [("2", ("<|added_0|>", "<|added_1|>")), ("[<x>]", ("<x>",))])
def test_added_tokens_are_named_or_counted(read: Read, written: str, names: tuple[str, ...]) -> None:
    suite = read(f"family: f\nrecipes: {{a: {{tune: embeddings, add_tokens: {written}}}}}")

    assert suite.recipes["a"].add_tokens == names
