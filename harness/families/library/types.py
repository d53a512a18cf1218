"""Which types of model there are, and the names of the classes that go with each, from the library's own tables."""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

NOT_VISION_LANGUAGE = {
    "evolla": "it reads proteins, not pictures",
    "mistral4": "it has no part that sees",
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


TABLE = "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES"


@cache
def model_types() -> dict[str, str]:
    """Every type that the installed library has for pictures and text to text, with its class.

    Read from the library's code without importing it, which takes seconds: listing names must not.
    """
    spec = importlib.util.find_spec("transformers")
    if spec is None or not spec.submodule_search_locations:
        return {}
    code = Path(spec.submodule_search_locations[0], "models", "auto", "modeling_auto.py").read_text(encoding="utf-8")
    start = code.find(f"\n{TABLE} = OrderedDict(")
    if start < 0:
        return {}
    (assigned,) = ast.parse(code[start : code.index("\n)\n", start) + 3]).body
    assert isinstance(assigned, ast.Assign)
    assert isinstance(assigned.value, ast.Call)
    pairs = [one for one in ast.walk(assigned.value.args[0]) if isinstance(one, ast.Tuple)]
    return dict(ast.literal_eval(pair) for pair in pairs)


def classes_of(model_type: str) -> Classes:
    """The classes of a type, as the Auto classes would choose them. Raises KeyError for a type that there is not."""
    from transformers.models.auto.feature_extraction_auto import FEATURE_EXTRACTOR_MAPPING_NAMES
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES
    from transformers.models.auto.video_processing_auto import VIDEO_PROCESSOR_MAPPING_NAMES

    return Classes(
        model=model_types()[model_type],
        processor=PROCESSOR_MAPPING_NAMES.get(model_type),
        image_processor=_plain(IMAGE_PROCESSOR_MAPPING_NAMES.get(model_type)),
        video_processor=_plain(VIDEO_PROCESSOR_MAPPING_NAMES.get(model_type)),
        feature_extractor=_plain(FEATURE_EXTRACTOR_MAPPING_NAMES.get(model_type)),
    )


def _plain(entry: Any) -> str | None:
    """The name of a class without the ending that says on what it computes: releases have one, a pair, or a mapping."""
    if isinstance(entry, dict):
        names = [name for name in entry.values() if name]
    else:
        names = [name for name in (entry if isinstance(entry, (list, tuple)) else [entry]) if name]
    return str(names[0]).removesuffix("Pil").removesuffix("Fast") if names else None
