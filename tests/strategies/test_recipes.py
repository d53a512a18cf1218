"""Drawn recipes: those that can work do by every rule, those that cannot break the rule that they name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from pydantic import ValidationError

from harness.families import check_possible
from harness.recipe import Recipe, read_suite
from harness.recipe.rules import RULES, broken_rule
from harness.strategies import FAMILIES, as_suite, as_yaml, broken_recipes, recipes
from harness.strategies.broken import BREAKS, rules_without_a_break

MANY = settings(
    max_examples=200, database=None, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@MANY
@given(recipes())
def test_what_is_drawn_can_be_built(recipe: Recipe) -> None:
    assert broken_rule(recipe) is None
    check_possible(recipe)


@MANY
@given(recipes())
def test_a_recipe_comes_back_from_yaml(recipe: Recipe) -> None:
    assert Recipe.model_validate(yaml.safe_load(as_yaml(recipe))) == recipe


def test_a_suite_of_recipes_is_a_suite(tmp_path: Path) -> None:
    drawn = {f"drawn-{number}": recipe for number, recipe in enumerate(examples(12))}
    path = tmp_path / "drawn.yaml"
    path.write_text(as_suite(drawn, "what was drawn"))
    suite = read_suite(path)
    assert suite.recipes == drawn
    assert suite.description == "what was drawn"


def examples(number: int, seed: int = 0) -> list[Recipe]:
    found: list[Recipe] = []

    @hypothesis.seed(seed)
    @settings(max_examples=number, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(recipes())
    def draw(recipe: Recipe) -> None:
        found.append(recipe)

    draw()
    return found


def test_every_option_is_drawn() -> None:
    # Of several seeds: what one draws lies close together.
    drawn = [one.model_dump(mode="json") for seed in range(6) for one in examples(200, seed)]
    assert {one["family"] for one in drawn} == set(FAMILIES)
    assert {one["precision"] for one in drawn} == {"fp32", "bf16", "fp16", "pure-bf16", "pure-fp16"}
    assert {one["checkpointing"] for one in drawn} == {False, True, "reentrant"}
    assert {one["optimizer"]["accumulation"] for one in drawn} == {1, 2, 3}
    assert {one["optimizer"]["clip_norm"] for one in drawn} == {None, 0.1, 1.0}
    assert {one["save"]["what"] for one in drawn} >= {"auto", "partial", "native", "nothing"}
    assert {kind for one in drawn for kind in one["data"]["mix"]} == {"image", "text", "blank", "several"}
    methods = {one["adapter"]["method"] for one in drawn if one["adapter"]}
    assert methods >= {"loha", "lokr", "vera", "oft", "prompt_tuning", "p_tuning", "prefix_tuning"}
    assert any(one["lora"] and one["lora"]["dora"] for one in drawn)
    assert any(part["last"] for one in drawn for part in one["tune"])


@pytest.mark.parametrize("what", ["auto", "partial", "projector", "nothing"])
def test_every_way_of_saving_is_drawn(what: str) -> None:
    """Drawn until there is one; raises if there is none among very many."""
    thorough = settings(MANY, max_examples=5000)
    found = hypothesis.find(recipes(["llava-1.5-7b"]), lambda recipe: recipe.save.what == what, settings=thorough)
    assert found.save.what == what


def test_every_rule_is_broken_by_some() -> None:
    assert rules_without_a_break() == set()
    assert set(BREAKS) == set(RULES)


@MANY
@given(broken_recipes())
def test_what_cannot_work_is_refused_in_one_line_by_the_rule_it_breaks(drawn: tuple[str, dict[str, Any]]) -> None:
    rule, asked = drawn
    with pytest.raises(ValidationError) as refused:
        Recipe.model_validate(asked)
    (error,) = refused.value.errors()
    message = error["msg"].removeprefix("Value error, ")
    assert "\n" not in message
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.recipe.model.broken_rule", lambda recipe: None)
        broken = broken_rule(Recipe.model_validate(asked))
    assert broken is not None
    assert broken.rule == rule
    assert message == f"{broken.what}; {broken.do}"
