"""The types that the installed library has, one by one, without importing it: none is silently missing."""

from __future__ import annotations

from typing import Any

from harness.families.library.overrides import override_of
from harness.families.library.published import checkpoints
from harness.families.library.types import NOT_VISION_LANGUAGE, model_types


def reason_refused(model_type: str) -> str:
    """Why a type is not among the families, empty where it is."""
    return NOT_VISION_LANGUAGE.get(model_type) or override_of(model_type).refused


def listed_types() -> list[dict[str, Any]]:
    """Each type under the name that it has as a family; those that cannot be had have no sizes, and say why."""
    return [
        {
            "name": f"transformers:{model_type}",
            "sizes": [] if (why := reason_refused(model_type)) else ["full", "tiny"],
            "description": f"not to be had: {why}" if why else f"{kind}, as the transformers library has it",
        }
        for model_type, kind in model_types().items()
    ]


def listed_checkpoints() -> list[dict[str, Any]]:
    """The recorded checkpoints of types that the installed library has, under the names that they have as families."""
    types = model_types()
    return [
        {"name": f"published:{name}", "sizes": ["full", "tiny"], "description": f"the configuration of {name}"}
        for name, one in checkpoints().items()
        if one.config["model_type"] in types
    ]
