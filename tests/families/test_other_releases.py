"""The same names under other releases of the libraries: what one lacks does not apply, by name; keys are the same."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from harness import stack, stack_classes, stack_keys
from harness.checks import CHECKS
from harness.families import family, library
from harness.families.library.overrides import Override
from harness.families.library.types import FIRST, NOT_VISION_LANGUAGE, first_release, model_types
from harness.recipe import Recipe
from harness.recipe.yaml_file import read_yaml
from harness.refusal import Lacking, Refused
from harness.result import NOT_HERE, Status
from harness.running.session import Session, Sockets, check_buildable, suite_at
from harness.running.workers import worker_modules
from harness.stack import release

LATER = "transformers:gemma3"
SAID = f"{LATER} needs transformers 4.52, and 4.45.2 is installed: it has no type 'gemma3'"


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if transformers 4.45 were installed, which knows LLaVA and no Gemma 3."""
    known = {name: kind for name, kind in model_types().items() if first_release(name) == "4.45"}
    installed = {**stack.versions(), "transformers": "4.45.2"}
    monkeypatch.setattr(stack, "versions", lambda: installed)
    monkeypatch.setattr(library, "model_types", lambda: known)


def test_a_type_that_came_later_is_lacking_by_name_and_a_wrong_name_is_not(old: None) -> None:
    with pytest.raises(Lacking) as lacking:
        family(LATER)
    assert (lacking.value.what, lacking.value.do) == (SAID, "pip install 'transformers>=4.52'")
    with pytest.raises(Refused, match=r"did you mean transformers:llava\?") as refused:
        family("transformers:lava")
    assert not isinstance(refused.value, Lacking)


def test_a_suite_with_it_runs_and_its_checks_do_not_apply(old: None, tmp_path: Path) -> None:
    suite = tmp_path / "suite.yaml"
    suite.write_text(json.dumps({"family": LATER, "recipes": {"full": {"tune": ["all"]}}}), encoding="utf-8")
    check_buildable(suite_at(suite))
    assert worker_modules([LATER]) == worker_modules([])
    checks = [check.name for check in CHECKS]
    found = Session(Sockets(), tmp_path).results("suite/full", Recipe(family=LATER, tune=["all"]), checks)
    assert {(one.status, one.reason) for one in found.values()} == {(Status.NOT_APPLICABLE, f"{NOT_HERE}{SAID}")}
    assert list(found) == checks


def test_every_type_that_is_installed_has_the_release_that_it_came_with() -> None:
    table = read_yaml(FIRST, "table")
    here = release("transformers")
    for name in model_types().keys() - NOT_VISION_LANGUAGE.keys():
        (first,) = (tuple(map(int, found.split("."))) for found, types in table.items() if name in types)
        assert first <= here, name


def test_what_older_releases_need_is_laid_over_what_all_need() -> None:
    said = Override.model_validate(
        {
            "base": {"both": 1},
            "older": {"5.0": {"base": {"old": 2}}, "4.52": {"base": {"old": 3}, "picture": "<image>"}},
        }
    )
    assert said.under((5, 23)).base == {"both": 1}
    assert said.under((4, 57)).base == {"both": 1, "old": 2}
    assert said.under((4, 45)).base == {"both": 1, "old": 3}
    assert (said.under((4, 57)).picture, said.under((4, 45)).picture) == (None, "<image>")


@pytest.mark.skipif(release("transformers") < (5, 0), reason="earlier releases have the level in memory")
def test_a_tower_that_has_lost_a_level_has_the_keys_and_values_that_it_was_published_with(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    from harness.families.weights import filled

    stack.quiet()
    chosen: Any = family("transformers:llava")
    chosen.write_base(tmp_path)
    key = "vision_tower.vision_model.encoder.layers.0.self_attn.k_proj.weight"
    assert chosen.naming.canonical("model.vision_tower.encoder.layers.0.self_attn.k_proj.weight") == key
    saved = {name: tensor for file in tmp_path.glob("*.safetensors") for name, tensor in load_file(file).items()}
    assert saved[key].equal(filled(key, saved[key].shape))
    assert saved.keys() == {chosen.naming.canonical(path) for path, _ in chosen.tiny.model.named_parameters()}


class _OfTheFours:
    _checkpoint_conversion_mapping: ClassVar = {
        "^language_model.model": "model.language_model",
        "^language_model.lm_head": "lm_head",
        r"^model(?!\.(language_model|visual))": "model.rest",
    }

    def state_dict(self) -> dict[str, int]:
        return dict.fromkeys(("model.language_model.norm", "lm_head.weight", "model.rest.x", "other"), 0)


@pytest.mark.parametrize(("version", "renames"), [("4.45.2", False), ("4.52.4", True), ("4.57.6", True)])
def test_of_the_fours_keys_are_those_that_their_saving_writes(
    monkeypatch: pytest.MonkeyPatch, version: str, renames: bool
) -> None:
    from transformers import modeling_utils

    monkeypatch.setattr(stack, "versions", lambda: {"transformers": version})
    monkeypatch.setattr(modeling_utils, "VLMS", ["ofthefours"] if renames else [], raising=False)
    kind = type("OfTheFours", (_OfTheFours,), {})
    written = {
        "model.language_model.norm": "language_model.model.norm",
        "lm_head.weight": "language_model.lm_head.weight",
    }
    written |= {"model.rest.x": "model.x", "other": "other"}
    assert stack_keys.saved_keys(kind()) == (written if renames else {name: name for name in written})


def test_a_class_that_a_release_does_not_have_is_lacking_by_name() -> None:
    with pytest.raises(Lacking, match=r"transformers \S+ has no NoSuchProcessor"):
        stack_classes.class_named("NoSuchProcessor")


def test_of_two_classes_that_a_processor_of_the_fours_names_that_on_torchvision_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stack, "versions", lambda: {"transformers": "4.57.6"})
    processor: Any = SimpleNamespace(image_processor_class=("SomeProcessor", "SomeProcessorFast"))
    for there, taken in (("whole", "SomeProcessorFast"), (None, "SomeProcessor")):
        monkeypatch.setattr(stack.vision_transforms, "available", lambda there=there: there)
        assert stack_classes.part_named(processor, "image_processor") == taken
    processor.image_processor_class = "AutoImageProcessor"
    assert stack_classes.part_named(processor, "image_processor") is None
