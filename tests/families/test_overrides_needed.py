"""Entries of the table of overrides are needed: without any one of their settings, the type does not work.

All are tried where torchvision is, which most types need (`nox -s families`), a few of them everywhere.
"""

from __future__ import annotations

from typing import Any

import pytest

from harness import vision_transforms
from harness.data import Sample
from harness.families.library import LibraryFamily
from harness.families.library.models import Blueprint
from harness.families.library.overrides import NOTHING, Override, table
from harness.families.library.types import classes_of
from harness.refusal import Refused
from harness.stack import quiet, release
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
    ),
}
SMALLER = ("call", "image_processor")  # which may be there for smaller pictures
SLOWER = 2  # times as many numbers for a sample, without them
EVERYWHERE = ("llava", "deepseek_vl", "cohere_compass", "paligemma", "blip", "blip-2")
TYPES = [
    name for name, one in table().items() if not one.refused and (vision_transforms.available() or name in EVERYWHERE)
]
SETTINGS = [(name, field) for name in TYPES for field in sorted(SHOWN & table()[name].model_fields_set)]


@pytest.fixture(autouse=True)
def _quiet() -> None:
    quiet()
    vision_transforms.available()


def made(model_type: str, override: Override) -> LibraryFamily:
    return LibraryFamily(f"transformers:{model_type}", Blueprint(model_type, classes_of(model_type), override))


def without(override: Override, field: str) -> Override:
    return override.model_copy(update={field: getattr(NOTHING, field)})


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
