"""Which types of model there are, and the names of the classes that go with each, from the library's own tables."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from harness import stack_classes
from harness.recipe.yaml_file import read_yaml

NOT_VISION_LANGUAGE = {
    "evolla": "it reads proteins, not pictures",
    "mistral4": "it has no part that sees",
    "pixtral": "it is a tower alone, of models of the type llava",
    "vision-encoder-decoder": "it is any encoder with any decoder, and has no configuration of its own",
}


@dataclass(frozen=True)
class Classes:
    """The library's classes of one type, by name; None where it knows none."""

    model: str
    processor: str | None
    image_processor: str | None
    video_processor: str | None
    feature_extractor: str | None


TABLES = ("MODEL_FOR_VISION_2_SEQ_MAPPING_NAMES", "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES")  # the first until 5
FIRST = Path(__file__).with_name("first_releases.yaml")


@cache
def model_types() -> dict[str, str]:
    """Every type that the installed library has for pictures and text to text, with its class.

    Read from the library's code without importing it, which takes seconds: listing names must not.
    """
    spec = importlib.util.find_spec("transformers")
    if spec is None or not spec.submodule_search_locations:
        return {}
    code = Path(spec.submodule_search_locations[0], "models", "auto", "modeling_auto.py").read_text(encoding="utf-8")
    return {name: kind for table in TABLES for name, kind in _pairs(code, table)}


def _pairs(code: str, table: str) -> Iterator[tuple[str, str]]:
    start = code.find(f"\n{table} = OrderedDict(")
    if start < 0:
        return
    (assigned,) = ast.parse(code[start : code.index("\n)\n", start) + 3]).body
    assert isinstance(assigned, ast.Assign)
    assert isinstance(assigned.value, ast.Call)
    yield from (ast.literal_eval(one) for one in ast.walk(assigned.value.args[0]) if isinstance(one, ast.Tuple))


@cache
def first_release(model_type: str) -> str:
    """The first of the releases in the table that has a type, empty for what none of them has."""
    releases = read_yaml(FIRST, "table")
    return next((str(release) for release, types in releases.items() if model_type in types), "")


def classes_of(model_type: str) -> Classes:
    """The classes of a type, as the Auto classes would choose them. Raises KeyError for a type that there is not."""
    return Classes(
        model=model_types()[model_type],
        processor=stack_classes.auto_names("processing", "PROCESSOR").get(model_type),
        image_processor=_plain(stack_classes.auto_names("image_processing", "IMAGE_PROCESSOR").get(model_type)),
        video_processor=_plain(stack_classes.auto_names("video_processing", "VIDEO_PROCESSOR").get(model_type)),
        feature_extractor=_plain(stack_classes.auto_names("feature_extraction", "FEATURE_EXTRACTOR").get(model_type)),
    )


def _plain(entry: Any) -> str | None:
    """The name of a class without the ending that says on what it computes: releases have one, a pair, or a mapping."""
    if isinstance(entry, dict):
        names = [name for name in entry.values() if name]
    else:
        names = [name for name in (entry if isinstance(entry, (list, tuple)) else [entry]) if name]
    return str(names[0]).removesuffix("Pil").removesuffix("Fast") if names else None
