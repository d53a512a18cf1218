"""Reductions over consecutive stretches of a flat tensor: by numpy where torch has brought it along, else by torch.

numpy is several times as fast on small stretches, but not every environment that the recorder enters has it; nothing
is imported here. Both give the same numbers.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch

CACHED = 1 << 16  # elements


class Stretches(Protocol):
    """What is asked of stretches. Tensors are flat and as long as all stretches together, weights as the longest."""

    def weighted_sums(self, flat: torch.Tensor, weights: torch.Tensor) -> list[int]:
        """The sum of each stretch of integers times int64 weights, modulo 2**64, signed. Each has the same weights."""

    def differing(self, flat: torch.Tensor, other: torch.Tensor, words: int) -> list[int]:
        """In how many elements, each of so many of the integers, each stretch differs from others."""

    def norms(self, flat: torch.Tensor) -> list[float]:
        """The 2-norm of each stretch of float32 or float64."""

    def peaks(self, flat: torch.Tensor) -> list[float]:
        """The largest magnitude in each stretch of float32 or float64; NaN where there is one."""


def stretches(sizes: Sequence[int], device: torch.device) -> Stretches:
    """Stretches of the given sizes, none of them 0, on one device."""
    numpy = sys.modules.get("numpy")
    return NumpyStretches(sizes, numpy) if numpy and device.type == "cpu" else TorchStretches(sizes, device)


class NumpyStretches:
    """Of tensors in the processor's memory: neighbours of one size are the rows of a table that fits into its cache.

    Fetching numbers costs more than the arithmetic, new memory more still, and so does a view: what is computed on the
    way stays in one small room, and the tables of memory that comes again and again are kept.
    """

    def __init__(self, sizes: Sequence[int], numpy: Any) -> None:
        self._numpy = numpy
        self._shapes = list(_table_shapes(sizes))
        self._room = numpy.empty(max(rows * columns for rows, columns in self._shapes), "int64")
        self._kept: dict[Any, list[tuple[Any, Any]]] = {}

    def weighted_sums(self, flat: torch.Tensor, weights: torch.Tensor) -> list[int]:
        factors, sums = weights.numpy(), []
        for table, room in self._tables(flat, "int64"):
            products = self._numpy.multiply(table, factors[: table.shape[1]], room)
            sums += self._numpy.add.reduce(products, 1).tolist()
        return sums

    def differing(self, flat: torch.Tensor, other: torch.Tensor, words: int) -> list[int]:
        counts: list[int] = []
        for (table, room), (before, _) in zip(self._tables(flat, "bool"), self._tables(other, "bool")):
            found = self._numpy.not_equal(table, before, room)
            found = found if words == 1 else found.reshape(len(found), -1, words).any(2)
            if self._numpy.count_nonzero(found) == found.size:
                counts += [found.shape[1]] * len(found)
            else:
                counts += [int(self._numpy.count_nonzero(row)) for row in found]
        return counts

    def norms(self, flat: torch.Tensor) -> list[float]:
        squares: list[float] = []
        for table, room in self._tables(flat, flat.dtype):
            squares += self._numpy.add.reduce(self._numpy.multiply(table, table, room), 1).tolist()
        return [math.sqrt(total) for total in squares]

    def peaks(self, flat: torch.Tensor) -> list[float]:
        found: list[float] = []
        for table, room in self._tables(flat, flat.dtype):
            found += self._numpy.maximum.reduce(self._numpy.abs(table, room), 1).tolist()
        return found

    def _tables(self, flat: torch.Tensor, dtype: Any) -> list[tuple[Any, Any]]:
        """The tables in a tensor's memory, each with a room of its shape."""
        key = (flat.data_ptr(), dtype)
        if key not in self._kept:
            whole, start, tables = flat.numpy(), 0, []
            dtype = whole.dtype if dtype is flat.dtype else dtype
            for rows, columns in self._shapes:
                size = rows * columns
                room = self._room.view(dtype)[:size].reshape(rows, columns)
                tables.append((whole[start : start + size].reshape(rows, columns), room))
                start += size
            self._kept[key] = tables
        return self._kept[key]


def _table_shapes(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Rows and columns of the tables that neighbours of one size make."""
    for size, alike in itertools.groupby(sizes):
        left, most = len(list(alike)), max(1, CACHED // size)
        while left > 0:
            yield min(left, most), size
            left -= most


class TorchStretches:
    """Of tensors anywhere, as differences of one running sum, which is exact for integers."""

    def __init__(self, sizes: Sequence[int], device: torch.device) -> None:
        self._sizes = list(sizes)
        self._last = (torch.cumsum(torch.tensor(sizes), 0) - 1).to(device)

    def weighted_sums(self, flat: torch.Tensor, weights: torch.Tensor) -> list[int]:
        return self._sums(flat * torch.cat([weights[:size] for size in self._sizes]))

    def differing(self, flat: torch.Tensor, other: torch.Tensor, words: int) -> list[int]:
        ones = torch.zeros_like(flat, dtype=torch.int64)
        ones[::words] = (flat != other).view(-1, words).any(1)
        return self._sums(ones)

    def _sums(self, flat: torch.Tensor) -> list[int]:
        running = torch.cumsum(flat, 0)[self._last]
        found: list[int] = torch.diff(running, prepend=running.new_zeros(1)).tolist()
        return found

    def norms(self, flat: torch.Tensor) -> list[float]:
        parts = torch.split(flat, self._sizes)
        found: list[float] = torch.stack([torch.linalg.vector_norm(part) for part in parts]).tolist()
        return found

    def peaks(self, flat: torch.Tensor) -> list[float]:
        ends = [end for stretch in torch.split(flat, self._sizes) for end in torch.aminmax(stretch)]
        extremes = torch.stack([end.double() for end in ends]).abs_().view(-1, 2)
        found: list[float] = extremes.amax(1).tolist()
        return found
