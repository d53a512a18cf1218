"""Entries of the table of overrides are needed: without any one of their settings, the type does not work.

All are tried where torchvision is, which most types need (`nox -s families`), a few of them everywhere. What is not
seen from building a type and from one backward pass is shown by training it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from harness import vision_transforms
from harness.checks import CHECKS
from harness.data import Sample
from harness.families.library.overrides import table
from harness.own_code import named
from harness.recipe import Recipe
from harness.refusal import Refused
from harness.result import Status
from harness.running.session import Session, WarmParents
from harness.stack import quiet, release
from tests.families.soundness import first_broken, numbers_of
from tests.families.without import made, without

pytestmark = pytest.mark.skipif(release("transformers") < (5, 0), reason="the table is of transformers 5")
# What building, feeding and one backward pass show. What else there is, training shows, or that a sample takes minutes.
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
    *("processor_class", "image_processor_class", "feature_extractor_class", "pictures_only", "unreached"),
}
SMALLER = ("call", "image_processor")  # which may be there for smaller pictures
SLOWER = 3  # times as many numbers for a sample, without them
TRAINING = {  # needed for what one backward pass does not show: what comes back, experts of both kinds
    ("llava_onevision", "base"),
    ("gemma3", "picture"),
    ("shieldgemma2", "picture"),
    ("idefics3", "processor"),
    ("smolvlm", "processor"),
    ("aya_vision", "processor"),
    ("nemotron_h_omni", "config"),
    ("ernie4_5_vl_moe", "config"),
    ("emu3", "image_processor"),
    ("pp_chart2table", "image_processor"),
    ("instructblipvideo", "picture"),
}
TRAINED = {
    "size": "tiny",
    "steps": 3,
    "data": {"mix": ["image", "blank"], "max_length": 16384},
    "optimizer": {"learning_rate": 2.0e-3},
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


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Trains types without a setting each, and says what failed."""
    names = [f"tests.families.without:{name}__{field}" for name, field in sorted(TRAINING)]
    parents = WarmParents(names)
    session = Session(parents.sockets, tmp_path_factory.mktemp("out"))

    def failed(family: str) -> list[str]:
        modes = {name: {**TRAINED, **settings} for name, settings in named(family, "family").modes().items()}
        recipes = {name: Recipe.model_validate({"family": family, **settings}) for name, settings in modes.items()}
        checks = [check.name for check in CHECKS]
        results = (session.results(f"{family}/{name}", one, checks).values() for name, one in recipes.items())
        return [one.check for found in results for one in found if one.status in (Status.FAILED, Status.BLOCKED)]

    yield failed
    parents.stop()


@pytest.mark.skipif(not vision_transforms.available(), reason="most of these types need torchvision")
@pytest.mark.parametrize(("model_type", "field"), sorted(TRAINING))
def test_without_any_one_of_these_a_type_does_not_train(model_type: str, field: str, trained: Any) -> None:
    assert trained(f"tests.families.without:{model_type}__{field}"), f"{model_type}: {field} is not needed: take it out"


@pytest.mark.parametrize("model_type", TYPES)
def test_with_its_settings_it_works(model_type: str, of_each_kind: Any) -> None:
    chosen = made(model_type, table()[model_type])
    refuse_without_torchvision(chosen)
    assert first_broken(chosen, of_each_kind) == ""
