"""The JSON Schema of a suite, for editors and for whoever writes suites by program."""

from __future__ import annotations

from typing import Any

from harness.recipe.covering.matrix import FEWEST, MOST, WAYS
from harness.recipe.model import Recipe
from harness.recipe.suite_checks import Marks, SuiteChecks


def suite_schema() -> dict[str, Any]:
    """A schema of the whole file: each recipe is a Recipe without what the suite's defaults already say."""
    recipe = Recipe.model_json_schema(ref_template="#/$defs/{model}")
    definitions = recipe.pop("$defs", {})
    recipe.pop("required", None)
    tune = {"description": "components or unions; or a mapping to all, {last: N} or {named: [...]}"}
    tune["anyOf"] = [{"type": kind} for kind in ("string", "array", "object", "null")]  # type: ignore[assignment]
    recipe["properties"]["tune"] = tune
    recipe["properties"]["loss_scaler"] = {
        "anyOf": [{"enum": ["auto", "on", "off"]}, {"type": "boolean"}, {"$ref": "#/$defs/LossScaler"}]
    }
    recipe["properties"] |= Marks.model_json_schema()["properties"]
    settings = {"anyOf": [{"$ref": "#/$defs/Recipe"}, {"type": "null"}]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "harness suite",
        "type": "object",
        "additionalProperties": False,
        "required": ["recipes"],
        "properties": {
            "family": {"type": "string"},
            "description": {"type": ["string", "null"]},
            "checks": {"anyOf": [SuiteChecks.model_json_schema(), {"type": "null"}]},
            "defaults": settings,
            "matrix": _matrix(),
            "recipes": {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": settings,
            },
        },
        "$defs": {**definitions, "Recipe": recipe},
    }


def _matrix() -> dict[str, Any]:
    """Axes of which every combination is run, or under one key those of which every pair, or every t values, meet."""

    def axes(fewest: int) -> dict[str, Any]:
        listed = {"type": "array", "minItems": fewest}
        return {"anyOf": [listed, {"type": "object", "minProperties": fewest, "description": "values by name"}]}

    covered = {
        "type": "object",
        "minProperties": FEWEST,
        "additionalProperties": axes(2),
        "description": "as few recipes as have every pair of these values, or every so many of them",
    }
    return {
        "type": ["object", "null"],
        "properties": dict.fromkeys(WAYS, covered),
        "patternProperties": {f"^[{FEWEST}-{MOST}]-way$": covered},
        "additionalProperties": axes(1),
    }
