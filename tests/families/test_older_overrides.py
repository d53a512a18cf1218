"""What the table of overrides has for older releases is needed: under the newest stack that it is for, without any one
of its settings the type does not work. `nox -s families_stacks` runs this under each stack; under the newest, which it
is for no more, what can be said is that there is a stack for each. A centre is needed where a release draws around
another number than all later ones do.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from harness import vision_transforms
from harness.families.library.overrides import Override, table
from harness.families.library.writing import filled_model
from harness.refusal import Lacking
from harness.stack import quiet, release
from harness.stacks import read_stacks
from tests.families.lacking import made
from tests.families.soundness import first_broken
from tests.families.test_overrides_needed import SHOWN, refuse_without_torchvision

Version = tuple[int, ...]


def version(text: str) -> Version:
    """Its first two numbers."""
    return tuple(map(int, text.split(".")[:2]))


STACKS = Path(__file__).parents[2] / "suites" / "compat" / "stacks.yaml"
RELEASES = sorted(version(one.versions["transformers"]) for one in read_stacks(STACKS))
LATER = min([one for one in RELEASES if one > release("transformers")], default=release("transformers"))
OLDER = [(name, until) for name, one in table().items() for until in one.older]
# What this release is the newest for: under one that is older yet, a type may need more besides.
HERE = [(name, until) for name, until in OLDER if release("transformers") < version(until) <= LATER]
SETTINGS = [
    (name, until, field)
    for name, until in HERE
    for field in sorted(SHOWN & table()[name].older[until].model_fields_set)
]
LATER_OR_HERE = [(name, until) for name, until in OLDER if version(until) <= LATER]
CENTRES = [(name, until, part) for name, until in LATER_OR_HERE for part in table()[name].older[until].centres]


def lacking(override: Override, until: str, field: str) -> Override:
    """The entry without one setting of those for releases before one."""
    kept = override.older[until].model_dump(include=override.older[until].model_fields_set - {field})
    return override.model_copy(update={"older": {**override.older, until: Override.model_validate(kept)}})


@pytest.mark.parametrize(("name", "until"), OLDER)
def test_a_stack_is_older_than_what_is_for_older_releases_and_one_is_not(name: str, until: str) -> None:
    assert RELEASES[0] < version(until) <= RELEASES[-1], f"{name}: nothing shows that {until} is needed: take it out"


@pytest.mark.parametrize(("name", "until"), OLDER)
def test_a_setting_for_older_releases_is_of_a_kind_that_is_shown_to_be_needed(name: str, until: str) -> None:
    assert table()[name].older[until].model_fields_set <= {*SHOWN, "centres"}, f"{name}, before {until}"


@pytest.mark.parametrize(("name", "until", "field"), SETTINGS)
def test_without_any_one_setting_for_older_releases_a_type_does_not_work(
    name: str, until: str, field: str, of_each_kind: Any
) -> None:
    quiet()
    vision_transforms.available()
    under, override = release("transformers"), table()[name]
    try:
        refuse_without_torchvision(made(name, override.under(under)))
    except Lacking as here:
        pytest.fail(f"{name}: {here}: nothing shows that {until} is needed: take it out")

    assert first_broken(made(name, override.under(under)), of_each_kind) == ""
    assert first_broken(made(name, lacking(override, until, field).under(under)), of_each_kind), (
        f"{name}: {field}, before {until}, is not needed: take it out"
    )


@pytest.mark.parametrize(("name", "until", "part"), CENTRES)
def test_a_centre_for_older_releases_is_what_later_ones_draw_around_and_they_do_not(
    name: str, until: str, part: str
) -> None:
    quiet()
    vision_transforms.available()
    chosen = made(name, table()[name].under(release("transformers")))
    refuse_without_torchvision(chosen)
    config = chosen.blueprint.tiny_configuration(chosen.processor, chosen.place)
    said = {part: table()[name].older[until].centres[part]}

    by_itself, as_said = (
        filled_model(chosen.blueprint.model_class, config, centres, chosen.naming.canonical) for centres in ({}, said)
    )

    told = {path: one for path, one in as_said.named_parameters() if re.search(part, path)}
    assert told
    alike = all(torch.equal(by_itself.get_parameter(path), one) for path, one in told.items())
    assert alike == ((name, until) not in HERE), (
        f"{name}: {part}, before {until}, is not needed, or says another number"
    )
