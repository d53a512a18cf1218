"""Reductions over consecutive stretches of a flat tensor: by numpy where torch has brought it along, else by torch.

numpy is several times as fast on small stretches, but not every environment that the recorder enters has it; nothing
is imported here. Both give the same numbers.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any, Protocol

import torch


class Stretches(Protocol):
    """What is asked of stretches. Every argument is flat and as long as all stretches together."""

    def weighted_sums(self, flat: torch.Tensor, weights: torch.Tensor) -> list[int]:
        """The sum of each stretch of integers times int64 weights, modulo 2**64, signed."""

    def nonzero(self, flat: torch.Tensor) -> list[int]:
        """How many of the integers or booleans of each stretch are not zero."""

    def norms(self, flat: torch.Tensor) -> list[float]:
        """The 2-norm of each stretch of floats, in float32 at least."""

    def peaks(self, flat: torch.Tensor) -> list[float]:
        """The largest magnitude in each stretch of floats; NaN where there is one."""


def stretches(sizes: Sequence[int], device: torch.device) -> Stretches:
    """Stretches of the given sizes, none of them 0, on one device."""
    numpy = sys.modules.get("numpy")
    return NumpyStretches(sizes, numpy) if numpy and device.type == "cpu" else TorchStretches(sizes, device)


class NumpyStretches:
    """Of tensors in the processor's memory."""

    def __init__(self, sizes: Sequence[int], numpy: Any) -> None:
        self._numpy = numpy
        ends = torch.cumsum(torch.tensor(sizes), 0)
        self._starts = (ends - torch.tensor(sizes)).tolist()
        self._slices = [slice(start, end) for start, end in zip(self._starts, ends.tolist())]
        self._scratch: dict[Any, Any] = {}  # new memory costs more than the arithmetic

    def weighted_sums(self, flat: torch.Tensor, weights: torch.Tensor) -> list[int]:
        products = self._numpy.multiply(flat.numpy(), weights.numpy(), out=self._room("int64", len(flat)))
        found: list[int] = self._numpy.add.reduceat(products, self._starts).tolist()
        return found

    def nonzero(self, flat: torch.Tensor) -> list[int]:
        values = flat.numpy()
        return [int(self._numpy.count_nonzero(values[stretch])) for stretch in self._slices]

    def norms(self, flat: torch.Tensor) -> list[float]:
        values = (flat.float() if flat.element_size() < 4 else flat).numpy()
        parts = [values[stretch] for stretch in self._slices]
        return [math.sqrt(self._numpy.dot(part, part)) for part in parts]

    def peaks(self, flat: torch.Tensor) -> list[float]:
        values = (flat.float() if flat.dtype == torch.bfloat16 else flat).numpy()
        magnitudes = self._numpy.abs(values, out=self._room(values.dtype, len(flat)))
        found: list[float] = self._numpy.maximum.reduceat(magnitudes, self._starts).tolist()
        return found

    def _room(self, dtype: Any, size: int) -> Any:
        if dtype not in self._scratch:
            self._scratch[dtype] = self._numpy.empty(size, dtype)
        return self._scratch[dtype]


class TorchStretches:
    """Of tensors anywhere, as differences of one running sum, which is exact for integers."""

    def __init__(self, sizes: Sequence[int], device: torch.device) -> None:
        self._sizes = list(sizes)
        self._last = (torch.cumsum(torch.tensor(sizes), 0) - 1).to(device)

    def weighted_sums(self, flat: torch.Tensor, weights: torch.Tensor) -> list[int]:
        running = torch.cumsum(flat * weights, 0)[self._last]
        found: list[int] = torch.diff(running, prepend=running.new_zeros(1)).tolist()
        return found

    def nonzero(self, flat: torch.Tensor) -> list[int]:
        ones = (flat != 0).to(torch.int64)
        return self.weighted_sums(ones, torch.ones_like(ones))

    def norms(self, flat: torch.Tensor) -> list[float]:
        wide = flat.float() if flat.element_size() < 4 else flat
        found: list[float] = torch.stack(
            [torch.linalg.vector_norm(part) for part in torch.split(wide, self._sizes)]
        ).tolist()
        return found

    def peaks(self, flat: torch.Tensor) -> list[float]:
        ends = [end for stretch in torch.split(flat, self._sizes) for end in torch.aminmax(stretch)]
        extremes = torch.stack([end.double() for end in ends]).abs_().view(-1, 2)
        found: list[float] = extremes.amax(1).tolist()
        return found
