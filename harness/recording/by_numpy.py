"""A few numbers, read by numpy where torch has brought it along: torch takes several times as long to be called.

Not every environment that the recorder enters has it; nothing is imported here.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

import torch

from harness.trace.fingerprint import weights


def numpy_here() -> Any:
    """The library, or None."""
    return sys.modules.get("numpy")


def as_array(tensor: torch.Tensor) -> Any:
    """A tensor's integers where they lie; None where numpy is not there, or cannot read them."""
    if numpy_here() is None or not tensor.is_cpu or tensor.is_floating_point() or tensor.layout is not torch.strided:
        return None
    return tensor.detach().numpy()


@functools.lru_cache(maxsize=64)
def weights_as_array(count: int) -> Any:
    """The odd weights of so many elements, int64 of shape (count,)."""
    return weights(0, count).numpy()
