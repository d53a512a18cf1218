"""The same in float32: what only rounding in 16 bits sets apart is not apart there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch

from harness.probes.passes import Probed
from harness.trace.nested import mapped

NEAR = 4  # units of rounding; where logits are no farther apart, nobody has to look closer
SHORT = (torch.float16, torch.bfloat16)
APART = ("largest_difference", "largest_logit")

Facts = dict[str, Any]


def twice(probed: Probed, measure: Callable[[Probed], Facts]) -> Facts:
    """How far logits are apart, by batch under `largest_difference` and `largest_logit`; where that is more than a few
    units of rounding in 16 bits, `in_float32` has the same of the model in float32."""
    facts = measure(probed)
    dtype = next(probed.model.parameters()).dtype
    if dtype in SHORT and _far(facts, torch.finfo(dtype).eps / 2):
        with in_float32(probed) as exact:
            facts["in_float32"] = {name: value for name, value in measure(exact).items() if name in APART}
    return facts


def _far(facts: Facts, unit: float) -> bool:
    apart, largest = (facts[name] for name in APART)
    return any(not value <= NEAR * unit * largest[name] for name, value in apart.items())


@contextlib.contextmanager
def in_float32(probed: Probed) -> Iterator[Probed]:
    """What is probed with every value in float32: parameters, buffers, batches. The model has its own again after."""
    model = probed.model
    held = [(one, one.data) for one in (*model.parameters(), *model.buffers()) if one.dtype in SHORT]
    fed = probed.feeding
    for one, value in held:
        one.data = value.float()
    try:
        yield replace(
            probed,
            batches=mapped(probed.batches, _float),
            known={},
            feeding=replace(fed, together=mapped(fed.together, _float)) if fed else None,
        )
    finally:
        for one, value in held:
            one.data = value


def _float(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.dtype in SHORT else tensor
