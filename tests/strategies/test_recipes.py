"""Drawn recipes: those that can work do by every rule, those that cannot break the rule that they name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from harness.checks import CHECKS
from harness.families import check_possible
from harness.faults import FAULTS
from harness.recipe import Recipe, read_suite
from harness.recipe.fields import EarlierRecipe, Equivalence
from harness.recipe.rules import RULES, broken_rule
from harness.recipe.starting import saved_by
from harness.running.planner import plan
from harness.strategies import FAMILIES, as_suite, broken_recipes, recipes
from harness.strategies.adapters import PROMPTS
from harness.strategies.broken import BREAKS, rules_without_a_break
from harness.strategies.drawing import Drawing
from harness.strategies.families import facts_of
from harness.strategies.fields import NOT_DRAWN, all_fields, said_by
from harness.strategies.properties import Drawn, Refuses
from harness.strategies.round_trips import recipe_comes_back
from harness.strategies.shown import as_settings

DEFAULT = Drawing()
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
    assert recipe_comes_back(recipe) == ""


def test_a_suite_of_recipes_is_a_suite(tmp_path: Path) -> None:
    drawn = {f"drawn-{number}": recipe for number, recipe in enumerate(examples(12))}
    path = tmp_path / "drawn.yaml"
    path.write_text(as_suite(drawn, "what was drawn"))
    suite = read_suite(path)
    assert {name for name in suite.recipes if name in drawn} == set(drawn)
    assert [apart_from_stages(suite.recipes[name]) for name in drawn] == [
        apart_from_stages(drawn[name]) for name in drawn
    ]
    assert suite.description == "what was drawn"


def apart_from_stages(recipe: Recipe) -> dict[str, Any]:
    """The settings, but for the name of the recipe that it starts from, which is of one suite."""
    settings = as_settings(recipe)
    if isinstance(recipe.start_from, EarlierRecipe):
        settings["start_from"] |= {"recipe": "", "settings": apart_from_stages(saved_by(recipe.start_from))}
    return settings


def examples(number: int, seed: int = 0, drawing: Drawing = DEFAULT) -> list[Recipe]:
    found: list[Recipe] = []

    @hypothesis.seed(seed)
    @settings(MANY, max_examples=number, derandomize=False, phases=[Phase.generate])
    @given(drawing.recipes())
    def draw(recipe: Recipe) -> None:
        found.append(recipe)

    draw()
    return found


DRAWINGS = (
    Drawing(),
    Drawing(engines=("trainer",), processes=(1, 2), launchers=("torchrun",)),
    Drawing(engines=("deepspeed",), processes=(1, 2)),
    Drawing(("llava-1.5-7b", "mini-gemini-2b", "minimind-v1", "minimind-3v")),
)


@pytest.fixture(scope="module")
def drawn() -> list[Recipe]:
    """Many recipes. What one seed draws lies close together: hence a few of many."""
    return [one for drawing in DRAWINGS for seed in range(40) for one in examples(8, seed, drawing)]


def test_every_setting_is_drawn_or_has_its_reason(drawn: list[Recipe]) -> None:
    said = {name for recipe in drawn for name in said_by(recipe)}
    known = set(all_fields())
    assert set(NOT_DRAWN) <= known
    assert sorted(known - said) == sorted(NOT_DRAWN)


def test_every_value_of_a_choice_is_drawn(drawn: list[Recipe]) -> None:
    assert {one.family for one in drawn} == set(FAMILIES)
    assert {one.precision for one in drawn} == {"fp32", "bf16", "fp16", "pure-bf16", "pure-fp16"}
    assert {one.checkpointing for one in drawn} == {False, True, "reentrant"}
    assert {one.attention for one in drawn} == {None, "eager", "sdpa"}
    assert {one.optimizer.clip_norm for one in drawn} == {None, 0.1, 1.0}
    assert {one.optimizer.schedule for one in drawn} == {"constant", "linear", "cosine"}
    assert {one.save.what for one in drawn} == {"auto", "partial", "projector", "native", "nothing"}
    assert {kind for one in drawn for kind in one.data.mix} == {"image", "text", "blank", "several"}
    assert {one.deepspeed.stage for one in drawn if one.engine == "deepspeed"} == {0, 1, 2, 3}
    assert {way for one in drawn for way in one.agrees_with} == set(get_args(Equivalence))


def test_every_method_of_adapters_is_drawn(drawn: list[Recipe]) -> None:
    of_peft = {"lora", "loha", "lokr", "vera", "oft", "boft", "ia3", "ln_tuning", "adalora", *PROMPTS}
    assert {one.peft.method for one in drawn if one.peft} == {*of_peft, "minimind-lora"}


def test_every_partner_run_of_what_is_drawn_is_a_recipe(drawn: list[Recipe]) -> None:
    """What an equivalence check changes of a recipe leaves one that can work, however the recipe saves and ends."""
    agreeing = [one for one in drawn if one.agrees_with or one.loss_scaler.rule]
    assert agreeing
    for recipe in agreeing:
        partners = [name for name in plan("drawn", recipe, CHECKS).runs if name != "main"]
        assert len(partners) >= len(recipe.agrees_with), recipe


def test_a_mask_can_be_ignored_only_where_one_is_given() -> None:
    """MiniMind's first generations take `attention_mask` for targets: without one they give no loss at all."""
    fault = FAULTS["attention_mask_ignored"]
    blind = []
    for name in FAMILIES:
        mix = ["image"] if facts_of(name).sees else ["text"]
        asked = {"family": name, "trust_remote_code": True, "tune": "language", "data": {"mix": mix}}
        blind += [] if fault.fits(Recipe.model_validate(asked)) else [name]
    assert blind == ["minicpm-llama3-v-2.5", "minicpm-v-2", "minicpm-v-2.6", "minimind-v1"]


def test_every_rule_is_broken_by_some() -> None:
    assert rules_without_a_break() == set()
    assert set(BREAKS) == set(RULES)


@MANY
@given(broken_recipes())
def test_what_cannot_work_is_refused_in_one_line_by_the_rule_it_breaks(drawn: tuple[str, dict[str, Any]]) -> None:
    rule, asked = drawn
    assert Refuses().broken_by(Drawn(rule=rule, settings=asked)) == ""


def test_a_recipe_that_works_is_no_broken_one() -> None:
    sound = {"family": "llava-1.5-7b", "tune": "vision"}
    said = Refuses().broken_by(Drawn(rule="something_trains", settings=sound))
    assert said == "something_trains: 0 refusals: "


def test_another_rule_than_the_one_that_is_meant_is_told() -> None:
    said = Refuses().broken_by(Drawn(rule="one_adapter", settings={"family": "llava-1.5-7b"}))
    assert said.startswith("one_adapter is broken, and another speaks: tune is empty")
