"""Per-tensor numbers of many tensors at once.

A tiny model has a hundred small parameters; asking each for everything costs more than a step may. Tensors of one
dtype are laid end to end and reduced segment by segment: by numpy where torch itself has brought it along (nothing is
imported here), else as differences of one running sum, which is exact for integers.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch

from harness.trace.fingerprint import bits, weights


class Segments:
    """Tensors of one dtype, laid end to end. Shapes are fixed; the values are read anew at each `lay`."""

    def __init__(self, tensors: Sequence[torch.Tensor]) -> None:
        self.tensors = list(tensors)
        self._sizes = [tensor.numel() for tensor in self.tensors]
        device = self.tensors[0].device
        self._sums = SegmentSums(self._sizes, device)
        self._weights = torch.cat([weights(0, size, device) for size in self._sizes])
        self._products = torch.empty_like(self._weights)
        self._addresses: list[int] = []
        self._views: list[torch.Tensor] = []
        self.flat = torch.cat(self._current_views())
        self._spare = torch.empty_like(self.flat)

    def lay(self) -> torch.Tensor:
        """Read the tensors again and return what was read before. Neither is a copy: the next call overwrites."""
        before, self.flat = self.flat, self._spare
        torch.cat(self._current_views(), out=self.flat)
        self._spare = before
        return before

    def _current_views(self) -> list[torch.Tensor]:
        """The tensors' bits in place, looked up again only where a tensor was given other memory."""
        addresses = [tensor.data_ptr() for tensor in self.tensors]
        if addresses != self._addresses or not all(tensor.is_contiguous() for tensor in self.tensors):
            self._views = [bits(tensor) for tensor in self.tensors]
            self._addresses = addresses
        return self._views

    def changed(self, before: torch.Tensor) -> list[int]:
        """How many elements of each tensor differ in any bit from what was read before."""
        return self._sums.counts(self.flat != before)

    def fingerprints(self) -> list[int]:
        """The fingerprint of each tensor, as trace.fingerprint defines it, signed."""
        return self._sums.integers(torch.mul(self.flat, self._weights, out=self._products))

    def norms_and_peaks(self) -> tuple[list[float], list[float]]:
        """The 2-norm and the largest magnitude of each tensor."""
        found = self._sums.norms_and_peaks(self.flat.view(self.tensors[0].dtype))
        return found or (norms(self.tensors), peaks(self.tensors))


class SegmentSums:
    """Sums over consecutive stretches of a flat tensor."""

    def __init__(self, sizes: Sequence[int], device: torch.device) -> None:
        ends = torch.cumsum(torch.tensor(sizes), 0)
        self._numpy: Any = sys.modules.get("numpy") if device.type == "cpu" else None
        self._last = (ends - 1).to(device)
        self._starts = (ends - torch.tensor(sizes)).tolist()

    def integers(self, flat: torch.Tensor) -> list[int]:
        """The int64 sum of each stretch, modulo 2**64."""
        if self._numpy is not None:
            found: list[int] = self._numpy.add.reduceat(flat.numpy(), self._starts).tolist()
            return found
        return self._differences(flat)

    def counts(self, mask: torch.Tensor) -> list[int]:
        """How many elements of each stretch are true."""
        if self._numpy is not None:
            found: list[int] = self._numpy.add.reduceat(mask.numpy(), self._starts, dtype="int32").tolist()
            return found
        return self._differences(mask.to(torch.int32))

    def norms_and_peaks(self, flat: torch.Tensor) -> tuple[list[float], list[float]] | None:
        """The 2-norm and the largest magnitude of each stretch of float32; None for other dtypes or without numpy."""
        if self._numpy is None or flat.dtype != torch.float32:
            return None
        magnitudes = self._numpy.abs(flat.numpy())
        largest = self._numpy.maximum.reduceat(magnitudes, self._starts)
        squares = self._numpy.add.reduceat(self._numpy.square(magnitudes, dtype="float64"), self._starts)
        return self._numpy.sqrt(squares).tolist(), largest.tolist()

    def _differences(self, flat: torch.Tensor) -> list[int]:
        running = torch.cumsum(flat, 0)[self._last]
        found: list[int] = torch.diff(running, prepend=running.new_zeros(1)).tolist()
        return found


def norms(tensors: Sequence[torch.Tensor]) -> list[float]:
    """The 2-norm of each tensor, 16-bit floats in their own precision."""
    if not tensors:
        return []
    found = torch._foreach_norm([tensor.detach() for tensor in tensors])
    values: list[float] = torch.stack([norm.float() for norm in found]).tolist()
    return values


def peaks(tensors: Sequence[torch.Tensor]) -> list[float]:
    """The largest magnitude in each tensor; NaN where there is one."""
    if not tensors:
        return []
    ends = [end for tensor in tensors for end in torch.aminmax(tensor.detach())]
    extremes = torch.stack([end.float() for end in ends]).abs_().view(-1, 2)
    values: list[float] = extremes.amax(1).tolist()
    return values


def nonzero(tensors: Sequence[torch.Tensor]) -> list[int]:
    """How many elements of each tensor are not zero."""
    counts = [0] * len(tensors)
    there = [(index, tensor) for index, tensor in enumerate(tensors) if tensor.numel()]
    if not there:
        return counts
    mask = torch.cat([tensor.detach().reshape(-1) != 0 for _, tensor in there])
    found = SegmentSums([tensor.numel() for _, tensor in there], mask.device).counts(mask)
    for (index, _), count in zip(there, found):
        counts[index] = count
    return counts
