"""DeepSpeed's estimators of model states: its own where it is installed, else the same formulas written out.

DeepSpeed is no dependency. Its formulas are published with it (`deepspeed/runtime/zero/stage_1_and_2.py` and
`stage3.py`, `estimate_zero2_model_states_mem_needs` and `estimate_zero3_model_states_mem_needs`): 2 bytes for a weight
in 16 bits, and 2 + 4 + 4 + 8 for its gradient in 16 and in 32 bits, its fp32 master and AdamW's two moments. On the
host, everything is held half as much again, for buffers. They assume that every parameter trains.
"""

from __future__ import annotations

import contextlib
import io
from functools import cache
from typing import Any, Protocol

from harness import stack

BUFFERS = 1.5
States = tuple[int, int]  # bytes on the host, and on each GPU


class Estimators(Protocol):
    """Model states of so many parameters on one host with so many GPUs."""

    name: str

    def zero2(self, parameters: int, gpus: int, *, offload: bool) -> States: ...

    def zero3(self, parameters: int, largest: int, gpus: int, *, optimizer: bool, weights: bool) -> States: ...


class WrittenOut:
    """The published formulas, on one host, for a model that is partitioned as it is made (`zero_init`)."""

    name = "DeepSpeed's published formulas"

    def zero2(self, parameters: int, gpus: int, *, offload: bool) -> States:
        if offload:
            return int(parameters * max(4 * gpus, 16) * BUFFERS), 2 * parameters
        return int(parameters * 4 * gpus * BUFFERS), 2 * parameters + int(18 * parameters / gpus)

    def zero3(self, parameters: int, largest: int, gpus: int, *, optimizer: bool, weights: bool) -> States:
        gathered = 4 * largest
        if not optimizer:
            return int(largest * 4 * gpus * BUFFERS), gathered + int(18 * parameters / gpus)
        if weights:
            return int(parameters * 18 * BUFFERS), gathered
        return int(parameters * 16 * BUFFERS), gathered + int(2 * parameters / gpus)


class Installed:
    """The functions of the DeepSpeed that is installed."""

    def __init__(self, zero2: Any, zero3: Any) -> None:
        self.name = f"the estimators of deepspeed {stack.versions().get('deepspeed', '')}".rstrip()
        self._zero2, self._zero3 = zero2, zero3

    def zero2(self, parameters: int, gpus: int, *, offload: bool) -> States:
        host, gpu = self._zero2(parameters, gpus, 1, offload)
        return host, gpu

    def zero3(self, parameters: int, largest: int, gpus: int, *, optimizer: bool, weights: bool) -> States:
        host, gpu, _ = self._zero3(parameters, largest, gpus, 1, optimizer, weights and optimizer)
        return host, gpu


@cache
def estimators() -> Estimators:
    """DeepSpeed's own functions if it can be imported, else the formulas."""
    if not stack.has("deepspeed"):
        return WrittenOut()
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it says on import which device it has found
            from deepspeed.runtime.zero.stage3 import estimate_zero3_model_states_mem_needs as zero3
            from deepspeed.runtime.zero.stage_1_and_2 import estimate_zero2_model_states_mem_needs as zero2
    except Exception:  # what an installed DeepSpeed lacks shows as any error: an operator, a compiler, a device
        return WrittenOut()
    return Installed(zero2, zero3)


def estimator_name() -> str:
    """Whose figures a plan gives."""
    return estimators().name
