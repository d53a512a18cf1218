"""What the table of overrides has for older releases is needed: under the newest stack that it is for, without any one
of its settings the type does not work. `nox -s families_stacks` runs this under each stack; under the newest, which it
is for no more, what can be said is that there is a stack for each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness import vision_transforms
from harness.families.library.overrides import Override, table
from harness.refusal import Lacking
from harness.stack import quiet, release
from harness.stacks import read_stacks
from tests.families.soundness import first_broken
from tests.families.test_overrides_needed import SHOWN, made, refuse_without_torchvision

Version = tuple[int, ...]


def version(text: str) -> Version:
    """Its first two numbers."""
    return tuple(map(int, text.split(".")[:2]))


STACKS = Path(__file__).parents[2] / "suites" / "compat" / "stacks.yaml"
RELEASES = sorted(version(one.versions["transformers"]) for one in read_stacks(STACKS))
LATER = min([one for one in RELEASES if one > release("transformers")], default=release("transformers"))
OLDER = [(name, until) for name, one in table().items() for until in one.older]
# Where features go is a question to a whole run, and rounding one to two releases: the tables of stacks answer them.
HERE = [
    (name, until, field)
    for name, until in OLDER
    if release("transformers") < version(until) <= LATER
    for field in sorted(SHOWN & table()[name].older[until].model_fields_set)
]


def lacking(override: Override, until: str, field: str) -> Override:
    """The entry without one setting of those for releases before one."""
    kept = override.older[until].model_dump(include=override.older[until].model_fields_set - {field})
    return override.model_copy(update={"older": {**override.older, until: Override.model_validate(kept)}})


@pytest.mark.parametrize(("name", "until"), OLDER)
def test_a_stack_is_older_than_what_is_for_older_releases_and_one_is_not(name: str, until: str) -> None:
    assert RELEASES[0] < version(until) <= RELEASES[-1], f"{name}: nothing shows that {until} is needed: take it out"


@pytest.mark.parametrize(("name", "until", "field"), HERE)
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
