"""Searching for what breaks a property: the same for the same seed, and shrunk to the smallest that does."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import yaml
from hypothesis.strategies import SearchStrategy  # noqa: TC002 - of a dataclass

from harness.recipe import Recipe
from harness.refusal import Refused
from harness.running.session import Sockets
from harness.strategies import as_yaml
from harness.strategies.drawing import Drawing
from harness.strategies.properties import Caught, Drawn, Silent
from harness.strategies.searching import batch_of

if TYPE_CHECKING:
    import pytest

FAMILY = Drawing(("llava-1.5-7b",))


@dataclass
class NeverIn16Bits:
    """A property that recipes in pure fp16 break, and that remembers what it was asked."""

    name: str = "nothing is in pure fp16"
    seen: list[Recipe] = field(default_factory=list)

    def strategy(self, drawing: Drawing) -> SearchStrategy[Drawn]:
        return drawing.recipes().map(Drawn)

    def broken_by(self, drawn: Drawn) -> str:
        assert drawn.recipe is not None
        self.seen.append(drawn.recipe)
        return "it is in pure fp16" if drawn.recipe.precision == "pure-fp16" else ""


def test_the_same_seed_draws_the_same_recipes_and_another_batch_others() -> None:
    one, again, other, another = (NeverIn16Bits() for _ in range(4))
    batch_of(one, FAMILY, 3, 0, examples=4)
    batch_of(again, FAMILY, 3, 0, examples=4)
    batch_of(other, FAMILY, 3, 1, examples=4)
    batch_of(another, FAMILY, 4, 0, examples=4)
    assert one.seen == again.seen
    assert one.seen != other.seen != another.seen != one.seen


def test_what_is_found_is_the_smallest() -> None:
    searched = NeverIn16Bits()
    batch = batch_of(searched, FAMILY, 0, 0, examples=200)
    assert batch.found is not None
    assert batch.found.how == "it is in pure fp16"
    assert batch.found.drawn.recipe is not None
    assert yaml.safe_load(as_yaml(batch.found.drawn.recipe)) == {
        "family": "llava-1.5-7b",
        "tune": [{"component": "connector"}],
        "precision": "pure-fp16",
        "optimizer": {"learning_rate": 5e-3, "eps": 1e-4},
        "data": {"mix": ["image"]},
        "steps": 2,
    }
    assert batch.tried == len(searched.seen)


def test_the_simplest_of_a_family_is_simple() -> None:
    @dataclass
    class NeverHolds(NeverIn16Bits):
        def broken_by(self, drawn: Drawn) -> str:
            return "always"

    batch = batch_of(NeverHolds(), FAMILY, 0, 0, examples=5)
    assert batch.found is not None
    assert batch.found.drawn.recipe is not None
    assert yaml.safe_load(as_yaml(batch.found.drawn.recipe)) == {
        "family": "llava-1.5-7b",
        "tune": [{"component": "connector"}],
        "data": {"mix": ["image"]},
        "steps": 2,
    }


def test_nothing_is_found_where_nothing_is() -> None:
    @dataclass
    class Holds(NeverIn16Bits):
        def broken_by(self, drawn: Drawn) -> str:
            return ""

    batch = batch_of(Holds(), FAMILY, 0, 0, examples=5)
    assert (batch.tried, batch.found) == (5, None)


SOUND: dict[str, Any] = {"family": "llava-1.5-7b", "tune": ["connector"], "data": {"mix": ["image"]}, "steps": 2}


def test_a_sound_recipe_trains_without_a_finding(warm: Any, bases: Path, tmp_path: Path) -> None:
    assert Silent(warm, tmp_path, bases).broken_by(Drawn(Recipe.model_validate(SOUND))) == ""


def test_one_that_trains_what_no_gradient_reaches_is_told(warm: Any, bases: Path, tmp_path: Path) -> None:
    """MiniMind-V computes the features of pictures under no_grad: its tower can be asked to train, and does not."""
    asked = {**SOUND, "family": "minimind-3v", "trust_remote_code": True, "tune": ["vision", "connector"]}
    said = Silent(warm, tmp_path, bases).broken_by(Drawn(Recipe.model_validate(asked)))
    assert said.startswith("trainable_parameters_moved failed: 48 parameters")


def test_a_fault_that_fits_is_caught(warm: Any, bases: Path, tmp_path: Path) -> None:
    recipe = Recipe.model_validate(SOUND)
    assert Caught(warm, tmp_path, bases).broken_by(Drawn(recipe, "nudge_one_frozen_element")) == ""


def test_a_fault_on_a_recipe_that_shows_nothing_of_it_is_told(warm: Any, bases: Path, tmp_path: Path) -> None:
    """What freezes nothing cannot show that something frozen moved."""
    everything = Recipe.model_validate({**SOUND, "tune": ["all"]})
    said = Caught(warm, tmp_path, bases).broken_by(Drawn(everything, "nudge_one_frozen_element"))
    assert "is to be caught by frozen_parameters_unchanged and was by" in said


def test_a_fault_that_shows_in_the_evidence_of_other_checks_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That frozen tensors were saved altered is seen beside the inventory of the base, which other checks ask for."""
    asked: list[bool] = []

    def row(*_given: Any, checks: Any = None) -> Any:
        asked.append(checks is None)
        return SimpleNamespace(caught=checks is None, caught_by=())

    monkeypatch.setattr("harness.strategies.properties.fault_row", row)
    drawn = Drawn(Recipe.model_validate(SOUND), "one_frozen_element_saved_altered")
    assert Caught(Sockets(), tmp_path, tmp_path).broken_by(drawn) == ""
    assert asked == [False, True]


def test_without_a_fault_there_is_nothing_to_catch(tmp_path: Path) -> None:
    assert Caught(None, tmp_path, tmp_path).broken_by(Drawn(Recipe.model_validate(SOUND))) == ""  # type: ignore[arg-type]


def test_what_cannot_be_made_is_found_and_ends_no_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_given: Any, **_named: Any) -> None:
        raise Refused("the base cannot be written", do="see there")

    monkeypatch.setattr("harness.strategies.properties.fault_row", refused)
    monkeypatch.setattr("harness.running.session.Session.results", refused)
    recipe = Recipe.model_validate(SOUND)
    said = [
        Silent(Sockets(), tmp_path, tmp_path).broken_by(Drawn(recipe)),
        Caught(Sockets(), tmp_path, tmp_path).broken_by(Drawn(recipe, "thaw_one_parameter")),
    ]
    assert [one.partition("the base")[2] for one in said] == [" cannot be written; see there"] * 2
