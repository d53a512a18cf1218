"""bugs.yaml: every bug has versions with and without it, and what it names is there."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from harness.checks import CHECKS
from harness.checks.universal import UNIVERSAL
from harness.compat.known import CHECKS as OF_LOADS
from harness.intents import read_intent
from harness.recipe import read_suite
from library_bugs.asked import INTENTS, SCRIPTS, SUITES, Bug, read_bugs

BUGS = read_bugs().bugs
by_name = pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS)
RECIPES = {bug.recipe for bug in BUGS.values() if bug.recipe}


@by_name
def test_its_checks_are_there(bug: Bug) -> None:
    known = {*OF_LOADS.values()} if bug.saved_under else {one.name for one in (*CHECKS, *UNIVERSAL)}

    assert set(bug.caught_by) <= known


@by_name
def test_its_recipe_reads_or_its_script_and_intent_are_there(bug: Bug) -> None:
    if bug.script:
        assert read_intent(f"{INTENTS}::{bug.script.intent}")
        for partner in ("", *bug.script.partners):
            script = bug.script.words(partner, scripts=str(SCRIPTS), out="OUT")[1]
            assert script.startswith(str(SCRIPTS))
            assert (SCRIPTS / script).is_file()
    else:
        suite, name = bug.suite
        assert name in read_suite(suite).recipes


@by_name
def test_no_version_both_has_it_and_has_it_not(bug: Bug) -> None:
    assert not [versions for versions in bug.broken if versions in bug.good]


def test_every_recipe_is_of_a_bug_or_a_stage_before_one() -> None:
    for suite in SUITES.glob("*.yaml"):
        recipes = read_suite(suite).recipes
        stages = {f"{suite.name}::{getattr(recipe.start_from, 'recipe', '')}" for recipe in recipes.values()}
        assert {f"{suite.name}::{name}" for name in recipes} <= RECIPES | stages


def test_a_bug_without_a_public_thread_is_refused() -> None:
    given = {**next(iter(BUGS.values())).model_dump(), "threads": ["somebody told me"]}

    with pytest.raises(ValidationError, match="is no public thread"):
        Bug.model_validate(given)


def test_a_bug_with_a_recipe_and_a_script_is_refused() -> None:
    given = {**next(bug for bug in BUGS.values() if bug.script).model_dump(), "recipe": "adapters.yaml::one"}

    with pytest.raises(ValidationError, match="and not both"):
        Bug.model_validate(given)
