"""How far apart two ways of computing the same may be: adapter beside the weights, or merged into them.

Differences are counted in units of rounding: half a unit in the last place of the weights' dtype, relative to the
largest value.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from harness.checks.movement import HALF_ULP

# Logits of one function computed in two ways. Measured over the shipped recipes, and over peft's other methods and ways
# to begin: at most 23 units in fp32, and 6 in 16 bits, where sums are made in fp32 and rounded once. Nearly three times
# as much is allowed.
LOGITS = {"float32": 64, "bfloat16": 16, "float16": 16}
# Merging rounds each weight once more. Measured over the library's types: at most 67 units (Muse Spark).
MERGED = {**LOGITS, "float32": 96}
# The same in float32 of models that were trained in 16 bits, at the high rates that show there. Measured over drawn
# recipes: at most 120 units (VeRA on layers that attend linearly), where 16 bits were 22 of theirs apart. Twice as much
# is allowed.
EXACT = 256
# Where training has made a model that magnifies whatever it is given, float32 magnifies too: measured, 1,105 units, a
# 2,500th of what 16 bits were apart. What is wrong is as far apart in both.
OF_SHORT = 2.0**-10
# A weight that is merged and unmerged is rounded at most four times: the delta added, DoRA's scale multiplied in, and
# both undone. Each rounding is at most one unit of the values on the way, which are no larger than the largest weight
# and the largest change together. Measured for LoRA: at most 1.9, for DoRA 3.4.
WEIGHTS = 4
# Other methods multiply weights with matrices, and each product sums up roundings of its own. Measured: at most 19
# units (HRA's products of reflections).
WEIGHTS_OF_OTHER_METHODS = 64


def allowed_in_logits(dtype: str, largest: float, units: Mapping[str, int] = LOGITS) -> float:
    """The largest difference that rounding explains between logits of one function computed in two ways."""
    return units[dtype] * HALF_ULP[dtype] * largest


def beyond_rounding(
    dtype: str, probe: Mapping[str, Any], *, stored: bool = False, units: Mapping[str, int] = LOGITS
) -> Iterator[tuple[str, float, float, float]]:
    """By batch: a difference of logits that rounding does not explain, the largest logit, and the difference allowed.

    In 16 bits rounding has its way with models that are right: it sends a token to another expert, or grows from layer
    to layer where training at a high rate has made values large. There the same in float32 decides, if the probe has
    looked at it. What is not finite is wrong whatever it is elsewhere. Where one of both ways has `stored` numbers of
    its own in 16 bits, such as DoRA's lengths, as much may be apart in float32 as is allowed in 16 bits.
    """
    exact = probe.get("in_float32")
    for batch, apart in ((batch, float(value)) for batch, value in probe["largest_difference"].items()):
        largest = float(probe["largest_logit"][batch])
        allowed = allowed_in_logits(dtype, largest, units)
        near = exact is not None and _is_near(exact, batch, allowed if stored else OF_SHORT * apart)
        only_rounding = near and math.isfinite(apart)
        if not (apart <= allowed or only_rounding):
            yield batch, apart, largest, allowed


def _is_near(exact: Mapping[str, Any], batch: str, in_short: float) -> bool:
    allowed = EXACT * HALF_ULP["float32"] * float(exact["largest_logit"][batch])
    return float(exact["largest_difference"][batch]) <= max(allowed, in_short)


def allowed_in_weights(method: str, dtype: str, largest: float) -> float:
    """The largest difference that rounding explains between a weight and itself, merged and unmerged."""
    return (WEIGHTS if method == "lora" else WEIGHTS_OF_OTHER_METHODS) * HALF_ULP[dtype] * largest
