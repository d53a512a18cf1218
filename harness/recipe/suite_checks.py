"""What a suite says of checks: its own ones, those it switches off and why, and what a finding of one weighs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from harness.frozen import Frozen
from harness.recipe.values import OneOrMore

Weight = Literal["warning", "error"]


def _reasons(value: Any) -> Any:
    """Reasons by check: switching a check off without saying why is refused."""
    if value is None:
        return {}
    names = value if isinstance(value, (list, tuple, dict)) else [value]
    given = value if isinstance(value, dict) else {}
    for name in names:
        reason = given.get(name)
        if not isinstance(reason, str) or not reason.strip():
            raise ValueError(f"{name} is switched off without a reason; write off: {{{name}: why it is}}")
    return {name: " ".join(reason.split()) for name, reason in given.items()}


Off = Annotated[dict[str, str], BeforeValidator(_reasons)]


class SuiteChecks(Frozen):
    """The key `checks` of a suite."""

    own: Annotated[tuple[str, ...], OneOrMore()] = Field(default=(), description="checks of your own, as module:name")
    off: Off = Field(default_factory=dict, description="checks that are not made, and why")
    severity: dict[str, Weight] = Field(default_factory=dict, description="what every finding of a check weighs")


class Marks(Frozen):
    """What a recipe says that is no setting of its training."""

    off: Off = Field(default_factory=dict, description="checks that are not made of this recipe, and why")
    quick: bool = Field(default=False, description="the quick gate runs this recipe")
    fault: str = Field(default="", description="a fault that harness faults puts into this recipe, whatever else")


@dataclass(frozen=True)
class Judging:
    """How one recipe is to be judged: reasons by check that is switched off, weights by check."""

    off: Mapping[str, str] = field(default_factory=dict)
    severity: Mapping[str, Weight] = field(default_factory=dict)


AS_EVERYBODY = Judging()
NOTHING_SAID = SuiteChecks()
