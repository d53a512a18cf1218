"""When trainers turn a gradient scaler on: the rules that are known, and which of them fit what was seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.recipe.fields import ScalerRule


@dataclass(frozen=True)
class Rule:
    """A condition on the compute dtype, under the name that recipes give it and as people write it."""

    name: ScalerRule
    written: str
    enables: Callable[[str], bool]

    def __str__(self) -> str:
        return self.written


RULES = (
    Rule("fp16", "dtype == float16, the right one", lambda dtype: dtype == "float16"),
    Rule("fp16-and-bf16", "dtype in (float16, bfloat16)", lambda dtype: dtype in ("float16", "bfloat16")),
    Rule("always", "dtype == dtype, which is always true", lambda dtype: True),
    Rule("never", "off by default", lambda dtype: False),
)
BY_NAME: dict[str, Rule] = {rule.name: rule for rule in RULES}


def fitting(seen: Iterable[tuple[str, bool]]) -> list[Rule]:
    """The rules that agree with every pair of compute dtype and whether the scaler was on."""
    pairs = list(seen)
    return [rule for rule in RULES if all(rule.enables(dtype) == on for dtype, on in pairs)]


def rules_that_fit(seen: Iterable[tuple[str, bool]]) -> str:
    """The rules that fit, in words."""
    return "; ".join(map(str, fitting(seen))) or "none that is known"
