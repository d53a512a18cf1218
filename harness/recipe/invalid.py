"""What is wrong with settings that are none, in one line: file, recipe, setting, remedy."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from harness.recipe import budgets, fields
from harness.recipe.model import Recipe
from harness.recipe.suite_checks import Marks, SuiteChecks
from harness.refusal import Refused

if TYPE_CHECKING:
    from pydantic import ValidationError

SHOWN = 80  # characters of a value that is refused


def with_family(settings: dict[str, Any], where: str) -> dict[str, Any]:
    """The settings of a recipe, which name a family. Raises Refused where they do not."""
    if "family" not in settings:
        raise Refused("family is missing", where=where, do="name one; harness list families shows them")
    return settings


def refusal_of(error: ValidationError, where: str, schema: str = "harness schema") -> Refused:
    """The first error of a validation, in one line: file, recipe, setting, remedy; `schema` shows what there is."""
    first = error.errors()[0]
    setting = ".".join(str(part) for part in first["loc"] if part != "[key]")
    if first["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(first["loc"][-1]), _field_names(), n=1)
        do = f"did you mean {close[0]}?" if close else f"{schema} lists every setting"
        return Refused(f"unknown setting {setting}", where=where, do=do)
    what, _, do = first["msg"].removeprefix("Value error, ").partition("; ")
    if setting:
        what = f"{setting}: {what}"
        if "input" in first and not isinstance(first["input"], dict):
            what += f" (got {_short(first['input'])})"
    return Refused(what, where=where, do=do or f"{schema} lists what is allowed")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def _field_names() -> list[str]:
    models = (
        Recipe,
        fields.Tune,
        fields.Adapter,
        fields.LossScaler,
        fields.Optimizer,
        fields.Data,
        fields.Save,
        fields.EarlierRecipe,
        fields.Composed,
        fields.Limits,
        budgets.Budget,
        budgets.Throughput,
        budgets.Memory,
        SuiteChecks,
        Marks,
    )
    return sorted({name for model in models for name in model.model_fields})
