"""Per-tensor numbers of many tensors at once.

A tiny model has a hundred small parameters; asking each for everything costs more than a step may. Tensors of one
dtype are laid end to end, and integer sums are taken as differences of one running sum, which is exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from harness.trace.fingerprint import bits, weights


class Segments:
    """Tensors of one dtype, laid end to end. Shapes are fixed; the values are read anew at each `lay`."""

    def __init__(self, tensors: Sequence[torch.Tensor]) -> None:
        self.tensors = list(tensors)
        sizes = [tensor.numel() for tensor in self.tensors]
        device = self.tensors[0].device
        self._ends = torch.cumsum(torch.tensor(sizes, device=device), 0) - 1
        self._weights = torch.cat([weights(0, size, device) for size in sizes])
        self.flat = torch.cat([bits(tensor) for tensor in self.tensors])
        self._spare = torch.empty_like(self.flat)

    def lay(self) -> torch.Tensor:
        """Read the tensors again and return what was read before. Neither is a copy: the next call overwrites."""
        before, self.flat = self.flat, self._spare
        torch.cat([bits(tensor) for tensor in self.tensors], out=self.flat)
        self._spare = before
        return before

    def changed(self, before: torch.Tensor) -> list[int]:
        """How many elements of each tensor differ in any bit from what was read before."""
        counted: list[int] = self._sums((self.flat != before).to(torch.int32)).tolist()
        return counted

    def fingerprints(self) -> list[int]:
        """The fingerprint of each tensor, as trace.fingerprint defines it, signed."""
        found: list[int] = self._sums(self.flat.to(torch.int64).mul_(self._weights)).tolist()
        return found

    def _sums(self, flat: torch.Tensor) -> torch.Tensor:
        running = torch.cumsum(flat, 0)[self._ends]
        return torch.diff(running, prepend=running.new_zeros(1))


def norms(tensors: Sequence[torch.Tensor]) -> list[float]:
    """The 2-norm of each tensor, 16-bit floats in their own precision."""
    if not tensors:
        return []
    found = torch._foreach_norm(list(tensors))
    values: list[float] = torch.stack([norm.float() for norm in found]).tolist()
    return values


def peaks(tensors: Sequence[torch.Tensor]) -> list[float]:
    """The largest magnitude in each tensor; NaN where there is one."""
    if not tensors:
        return []
    ends = [end for tensor in tensors for end in torch.aminmax(tensor)]
    extremes = torch.stack([end.float() for end in ends]).abs_().view(-1, 2)
    values: list[float] = extremes.amax(1).tolist()
    return values


def nonzero(tensors: Sequence[torch.Tensor]) -> list[int]:
    """How many elements of each tensor are not zero."""
    counted: list[int] = torch.stack([torch.count_nonzero(tensor) for tensor in tensors]).tolist() if tensors else []
    return counted
