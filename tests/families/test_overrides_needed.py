"""Entries of the table of overrides are needed: without any one of their settings, the type does not work.

All are tried where torchvision is, which most types need (`nox -s families`), a few of them everywhere.
"""

from __future__ import annotations

from typing import Any

import pytest

from harness import vision_transforms
from harness.families.library import LibraryFamily
from harness.families.library.models import Blueprint
from harness.families.library.overrides import NOTHING, Override, table
from harness.families.library.types import classes_of
from harness.refusal import Refused
from harness.stack import quiet, release
from tests.families.soundness import first_broken

pytestmark = pytest.mark.skipif(release("transformers") < (5, 0), reason="the table is of transformers 5")
# What building, feeding and one backward pass show. What else there is, training shows, or that a sample takes minutes.
SHOWN = {
    *("base", "config", "ids", "tokens", "named", "picture", "shown", "processor", "image_processor", "padding"),
    *("processor_class", "image_processor_class", "feature_extractor_class", "pictures_only", "unreached"),
}
TRAINING = {  # needed for what is not seen here: settings that come back, few parts of a picture, experts of both kinds
    ("llava_onevision", "base"),
    ("gemma3", "picture"),
    ("shieldgemma2", "picture"),
    ("idefics3", "processor"),
    ("smolvlm", "processor"),
    ("aria", "image_processor"),
    ("aya_vision", "processor"),
    ("nemotron_h_omni", "config"),
    ("ernie4_5_vl_moe", "config"),
    ("internvl", "image_processor"),
    ("qianfan_ocr", "image_processor"),
    ("emu3", "image_processor"),
    ("pp_chart2table", "image_processor"),
    ("instructblipvideo", "picture"),
}
EVERYWHERE = ("llava", "deepseek_vl", "cohere_compass", "paligemma", "blip", "blip-2")
TYPES = [
    name for name, one in table().items() if not one.refused and (vision_transforms.available() or name in EVERYWHERE)
]
SETTINGS = [
    (name, field)
    for name in TYPES
    for field in sorted(SHOWN & table()[name].model_fields_set)
    if (name, field) not in TRAINING
]


def made(model_type: str, override: Override) -> LibraryFamily:
    quiet()
    vision_transforms.available()
    return LibraryFamily(f"transformers:{model_type}", Blueprint(model_type, classes_of(model_type), override))


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
    without = override.model_copy(update={field: getattr(NOTHING, field)})
    assert first_broken(made(model_type, without), of_each_kind), f"{model_type}: {field} is not needed: take it out"


@pytest.mark.parametrize("model_type", TYPES)
def test_with_its_settings_it_works(model_type: str, of_each_kind: Any) -> None:
    chosen = made(model_type, table()[model_type])
    refuse_without_torchvision(chosen)
    assert first_broken(chosen, of_each_kind) == ""
