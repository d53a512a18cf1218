"""How many floating-point operations a model needs for a step, counted by torch, once for each shape of batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from harness.measuring.bare import Bare
from harness.trace.nested import tensors_in


def flops_of_steps(bare: Bare, steps: Sequence[Sequence[dict[str, Any]]]) -> list[int]:
    """The operations of each step's forwards and backwards, those of matrix products and convolutions.

    Model FLOPs: what the gradients of the parameters that train need, and nothing computed twice. Checkpointing has to
    be off, and attention is counted as the two products that it is, whichever kernel makes them.
    """
    known: dict[tuple[Any, ...], int] = {}
    counted = []
    for step in bare.placed(steps):
        for batch in step:
            if (shape := _shape(batch)) not in known:
                known[shape] = _flops(bare, batch)
        counted.append(sum(known[_shape(batch)] for batch in step))
    return counted


def _flops(bare: Bare, batch: dict[str, Any]) -> int:
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        bare.backward(batch)
    for parameter in bare.trained:
        parameter.grad = None
    return int(counter.get_total_flops())


def _shape(batch: dict[str, Any]) -> tuple[Any, ...]:
    """What decides how much is computed: names and shapes of everything in it."""
    return tuple((name, *(tuple(tensor.shape) for tensor in tensors_in(batch[name]))) for name in sorted(batch))
