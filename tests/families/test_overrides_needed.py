"""Entries of the table of overrides are needed: without any one of their settings, the type does not work, or a whole
run of it fails a check.

All are tried where torchvision is, which most types need (`nox -s families`), a few of them everywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness import vision_transforms
from harness.checks import CHECKS
from harness.data import Sample
from harness.families.library.overrides import table
from harness.families.library.processors import needed
from harness.families.library.types import classes_of
from harness.recipe import Recipe
from harness.refusal import Refused
from harness.result import Status
from harness.running.session import Session
from harness.stack import has, quiet, release
from tests.docs.conftest import written_by
from tests.families.lacking import made, without
from tests.families.soundness import first_broken, numbers_of

pytestmark = pytest.mark.skipif(release("transformers") < (5, 0), reason="the table is of transformers 5")
# What building, feeding and one backward pass show, and how large a sample is.
SHOWN = {
    *(
        "base",
        "config",
        "ids",
        "tokens",
        "named",
        "picture",
        "shown",
        "processor",
        "image_processor",
        "padding",
        "call",
    ),
    *(
        "processor_class",
        "image_processor_class",
        "feature_extractor_class",
        "pictures_only",
        "one_picture",
        "unreached",
        "elsewhere",
        "nested",
    ),
}
BY_RUN = {"centres", "residue", "not_adapted", "video_processor"}  # what a whole run shows
SMALLER = ("call", "image_processor")  # which may be there for smaller pictures
SLOWER = 2  # times as many numbers for a sample, without them
EVERYWHERE = ("llava", "deepseek_vl", "cohere_compass", "paligemma", "blip", "blip-2")
TYPES = [
    name for name, one in table().items() if not one.refused and (vision_transforms.available() or name in EVERYWHERE)
]
SETTINGS = [(name, field) for name in TYPES for field in sorted(SHOWN & table()[name].model_fields_set)]
RUNS = [(name, field) for name in TYPES for field in sorted(BY_RUN & table()[name].model_fields_set)]


@pytest.fixture(autouse=True)
def _quiet() -> None:
    quiet()
    vision_transforms.available()


def refuse_without_torchvision(chosen: Any) -> None:
    try:
        _ = chosen.processor
    except Refused as refused:
        if "needs torchvision" in str(refused):
            pytest.skip("its processor needs torchvision, which is not here")
    except Exception:  # which is for the test to see
        return


@pytest.mark.parametrize(("model_type", "field"), SETTINGS)
def test_without_any_one_of_its_settings_a_type_does_not_work(model_type: str, field: str, of_each_kind: Any) -> None:
    override = table()[model_type]
    refuse_without_torchvision(made(model_type, override))
    lacking = made(model_type, without(override, field))
    slower = field in SMALLER and _numbers(lacking, of_each_kind) >= SLOWER * _numbers(
        made(model_type, override), of_each_kind
    )
    assert slower or first_broken(lacking, of_each_kind), f"{model_type}: {field} is not needed: take it out"


def _numbers(chosen: Any, samples: dict[str, Sample]) -> int:
    try:
        return numbers_of(chosen, samples["image"])
    except Exception:  # it does not even work
        return 0


@pytest.mark.parametrize("model_type", TYPES)
def test_with_its_settings_it_works(model_type: str, of_each_kind: Any) -> None:
    chosen = made(model_type, table()[model_type])
    refuse_without_torchvision(chosen)
    assert first_broken(chosen, of_each_kind) == ""


@pytest.mark.parametrize(("model_type", "field"), RUNS)
def test_without_any_one_of_these_settings_a_run_fails_a_check(
    model_type: str, field: str, warm: Any, tmp_path: Path
) -> None:
    refuse_without_torchvision(made(model_type, table()[model_type]))
    session, trained = Session(warm, tmp_path), written_by("families.py").RECIPE
    modes = made(model_type, without(table()[model_type], field)).modes()
    recipes = {
        mode: Recipe(family=f"tests.families.lacking:{model_type}__{field}", **trained, **settings)
        for mode, settings in modes.items()
    }
    failed = any(_fails(session, f"lacking/{mode}", recipe) for mode, recipe in recipes.items())
    assert failed, f"{model_type}: {field} is not needed: take it out"


def _fails(session: Session, name: str, recipe: Recipe) -> bool:
    """Whether a check fails, or not even a base can be written."""
    try:
        results = session.results(name, recipe, [check.name for check in CHECKS])
    except Refused as refused:
        return "could not be written" in str(refused)
    return any(one.status in (Status.FAILED, Status.BLOCKED) for one in results.values())


@pytest.mark.parametrize("model_type", [name for name in TYPES if table()[name].video_processor_class])
def test_without_a_class_for_films_a_type_has_none(model_type: str) -> None:
    override = without(table()[model_type], "video_processor_class")
    found = needed(model_type, classes_of(model_type), override).parts["video_processor"].__name__
    assert found == "BaseVideoProcessor", f"{model_type}: the library has {found} for it: take the setting out"


@pytest.mark.parametrize(
    ("model_type", "library"),
    [(name, library) for name, one in table().items() for library in one.needs if not has(library)],
)
def test_without_a_library_that_it_needs_a_type_cannot_be_built(model_type: str, library: str) -> None:
    with pytest.raises(ImportError, match=library):
        made(model_type, table()[model_type]).meta_model("full")


@pytest.mark.parametrize("model_type", [name for name, one in table().items() if not one.refused])
def test_every_setting_is_of_a_kind_that_is_shown_to_be_needed(model_type: str) -> None:
    shown = {*SHOWN, *BY_RUN, "video_processor_class", "needs"}
    assert table()[model_type].model_fields_set <= {*shown, "why", "older"}
