"""Specimens of what is handed over from one stage to the next."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

Evidence = Any
Alteration = Callable[[Evidence], object]
ALLOWED = 64 * 2.0**-24 * 5.0


ALLOWED_IN_BF16 = 16 * 2.0**-8 * 5.0


def merged(what: str, apart: float, largest: float = 5.0, weights: str = "float32") -> Alteration:
    """A run that starts from what was merged in such weights, whose logits are so far from those before."""

    def alter(e: Evidence) -> None:
        e.intent.update(merged=what, merged_weights=weights)
        record = next(event for event in e.base if event["kind"] == "reloaded")
        record["handed_over"] = {"largest_difference": {"text": apart}, "largest_logit": {"text": largest}}

    return alter


SETTINGS: dict[str, Alteration] = {"handed_over_equal": merged("adapter", 0.0)}
SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "handed_over_equal": [
        ("HandedOverOtherwise", "an export, by the least", merged("native", 1e-30)),
        ("HandedOverOtherwise", "an adapter, by twice what rounding allows", merged("adapter", 2 * ALLOWED)),
        (
            "HandedOverOtherwise",
            "an adapter of a stage in bf16, by twice what its rounding allows",
            merged("adapter", 2 * ALLOWED_IN_BF16, weights="bfloat16"),
        ),
        ("HandedOverOtherwise", "not a number", merged("adapter", math.nan)),
        ("HandedOverOtherwise", "nothing to compare with", merged("native", 0.0, math.nan)),
    ],
}
SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "handed_over_equal": [
        ("an export", merged("native", 0.0)),
        ("what rounding allows", merged("adapter", 0.99 * ALLOWED)),
        ("what a stage in bf16 rounds", merged("adapter", 0.99 * ALLOWED_IN_BF16, weights="bfloat16")),
        ("an export of a stage in bf16", merged("native", 0.99 * ALLOWED_IN_BF16, weights="bfloat16")),
    ],
}
