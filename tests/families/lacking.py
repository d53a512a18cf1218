"""Types of the library without one of their settings: `tests.families.lacking:gemma4__centres` is such a family."""

from __future__ import annotations

from harness.families.library import LibraryFamily
from harness.families.library.models import Blueprint
from harness.families.library.overrides import NOTHING, Override, table
from harness.families.library.types import classes_of


def made(model_type: str, override: Override) -> LibraryFamily:
    return LibraryFamily(f"transformers:{model_type}", Blueprint(model_type, classes_of(model_type), override))


def without(override: Override, field: str) -> Override:
    return override.model_copy(update={field: getattr(NOTHING, field)})


def __getattr__(name: str) -> LibraryFamily:
    model_type, found, field = name.partition("__")
    if not found or model_type not in table():
        raise AttributeError(name)
    return made(model_type, without(table()[model_type], field))
