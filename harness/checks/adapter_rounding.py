"""How far apart two ways of computing the same may be: adapter beside the weights, or merged into them.

Differences are counted in units of rounding: half a unit in the last place of the weights' dtype, relative to the
largest value.
"""

from __future__ import annotations

from harness.checks.movement import HALF_ULP

# Logits of one function computed in two ways. Measured over the shipped recipes, and over peft's other methods and ways
# to begin: at most 23 units in fp32, and 6 in 16 bits, where sums are made in fp32 and rounded once. Nearly three times
# as much is allowed.
LOGITS = {"float32": 64, "bfloat16": 16, "float16": 16}
# A weight that is merged and unmerged is rounded at most four times: the delta added, DoRA's scale multiplied in, and
# both undone. Each rounding is at most one unit of the values on the way, which are no larger than the largest weight
# and the largest change together. Measured for LoRA: at most 1.9, for DoRA 3.4.
WEIGHTS = 4
# Other methods multiply weights with matrices, and each product sums up roundings of its own. Measured: at most 19
# units (HRA's products of reflections).
WEIGHTS_OF_OTHER_METHODS = 64


def allowed_in_logits(dtype: str, largest: float) -> float:
    """The largest difference that rounding explains between logits of one function computed in two ways."""
    return LOGITS[dtype] * HALF_ULP[dtype] * largest


def allowed_in_weights(method: str, dtype: str, largest: float) -> float:
    """The largest difference that rounding explains between a weight and itself, merged and unmerged."""
    return (WEIGHTS if method == "lora" else WEIGHTS_OF_OTHER_METHODS) * HALF_ULP[dtype] * largest
