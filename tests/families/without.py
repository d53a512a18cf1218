"""Families of the library that lack one setting of theirs: `tests.families.without:TYPE__FIELD`, also in workers."""

from __future__ import annotations

from harness.families.library import LibraryFamily
from harness.families.library.models import Blueprint
from harness.families.library.overrides import NOTHING, Override, table
from harness.families.library.types import classes_of


def made(model_type: str, override: Override, name: str = "") -> LibraryFamily:
    """A type with these settings, and no others than these."""
    return LibraryFamily(name or f"transformers:{model_type}", Blueprint(model_type, classes_of(model_type), override))


def without(override: Override, field: str) -> Override:
    return override.model_copy(update={field: getattr(NOTHING, field)})


def __getattr__(name: str) -> LibraryFamily:
    model_type, _, field = name.rpartition("__")
    if model_type not in table():
        raise AttributeError(name)
    return made(model_type, without(table()[model_type], field), f"{__name__}:{name}")
