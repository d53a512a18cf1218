"""Many small tensors in the processor's memory, read and reduced by numpy.

Fetching numbers costs more than the arithmetic, and new memory more still: neighbours of one size are the rows of a
table that fits into the processor's cache, all that is asked of it is asked while it is there, and what is computed on
the way stays in one small room.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from harness.trace.fingerprint import bits, weights, words_per_element

CACHED = 1 << 16  # elements
SHORT = 1 << 10


class Tables:
    """Tensors of one dtype, none of size 0, whose shapes are fixed. What they held when they were read is kept once."""

    def __init__(self, tensors: Sequence[torch.Tensor], numpy: Any) -> None:
        self._tensors = list(tensors)
        self._places: list[int] = []
        sizes = [tensor.numel() for tensor in tensors]
        shapes = list(_table_shapes(sizes))
        self._room = _Room(tensors[0].dtype, shapes, numpy)
        flat = torch.cat([bits(tensor) for tensor in tensors]).numpy()
        rows, kind = len(sizes), self._room.work.dtype
        self._sums = numpy.empty(rows, "int64")
        self._squares, self._peaks = numpy.empty(rows, kind), numpy.empty(rows, kind)
        self._tables, first, start = [], 0, 0
        for rows, size in shapes:
            mine, words = slice(first, first + rows), rows * size * self._room.words
            kept = flat[start : start + words].reshape(rows, -1)
            table = _Table(self._room, mine, kept, (self._sums[mine], self._squares[mine], self._peaks[mine]))
            self._tables.append(table)
            first, start = first + rows, start + words
        self._follow()
        for table in self._tables:
            table.read()
            table.measure()

    def _follow(self) -> None:
        """Look the tensors' bits up again where one was given other memory or another layout."""
        places = list(map(torch.Tensor.data_ptr, self._tensors))
        in_place = all(
            map(torch.Tensor.is_contiguous, self._tensors)
        )  # elsewhere the bits that are looked up are copies
        if places != self._places or not in_place:
            words = [bits(tensor) for tensor in self._tensors]
            for table in self._tables:
                table.follow(words[table.rows])
        self._places = places if in_place else []

    def changed(self) -> list[int]:
        self._follow()
        return [count for table in self._tables for count in table.changed()]

    def fingerprints(self) -> list[int]:
        found: list[int] = self._sums.tolist()
        return found

    def norms_and_peaks(self) -> tuple[list[float], list[float]]:
        return list(map(math.sqrt, self._squares.tolist())), self._peaks.tolist()


class _Room:
    """What tables of a dtype are laid out and computed in, one after the other."""

    def __init__(self, dtype: torch.dtype, shapes: Sequence[tuple[int, int]], numpy: Any) -> None:
        self.numpy, self.dtype = numpy, dtype
        self.words = words_per_element(dtype)
        self.weights = weights(0, max(size for _, size in shapes) * self.words).numpy()
        most = max(rows * size for rows, size in shapes)
        self.laid = bits(torch.empty(max((rows * size for rows, size in shapes if rows > 1), default=0), dtype=dtype))
        width = torch.empty(0, dtype=dtype).element_size()
        self.floating, self.narrow = dtype.is_floating_point, width < 4
        self.wide = torch.empty(most if self.floating and self.narrow else 0)
        self.work = numpy.empty(most, "float64" if width == 8 else "float32")


class _Table:
    """Some of the tensors. A single one stays where it is; several are laid end to end before they are looked at."""

    def __init__(self, room: _Room, rows: slice, kept: Any, found: tuple[Any, Any, Any]) -> None:
        self.rows = rows
        self._room, self._kept = room, kept
        self._sums, self._squares, self._peaks = found
        self._size = kept.shape[1] // room.words
        self._weights = room.weights[: kept.shape[1]]
        elements = kept.shape[0] * self._size
        self._work = room.work[:elements].reshape(len(kept), -1)
        self._differs = room.work.view("bool")[: kept.size].reshape(kept.shape)

    def follow(self, words: list[torch.Tensor]) -> None:
        """The tensors' bits are here."""
        self._words = words
        self._laid = words[0] if len(words) == 1 else self._room.laid[: self._kept.size]
        self._table = self._laid.numpy().reshape(self._kept.shape)
        if not self._room.floating:
            return
        if self._room.narrow:
            self._floats = self._room.wide[: self._work.size].numpy().reshape(self._work.shape)
        else:
            self._floats = self._table.view(self._work.dtype)

    def read(self) -> None:
        if len(self._words) > 1:
            torch.cat(self._words, out=self._laid)

    def changed(self) -> list[int]:
        """How many elements of each row differ from what is kept; what does is measured, and kept."""
        self.read()
        numpy, differs = self._room.numpy, self._differs
        numpy.not_equal(self._table, self._kept, differs)
        words = numpy.count_nonzero(differs)
        if not words:
            return [0] * len(differs)
        if words == differs.size:
            counts = [self._size] * len(differs)
        else:
            each = differs if self._room.words == 1 else differs.reshape(len(differs), -1, self._room.words).any(2)
            counts = _counted(numpy, each)
        self.measure()
        numpy.copyto(self._kept, self._table)
        return counts

    def measure(self) -> None:
        """Each row's fingerprint, the sum of its squares and its largest magnitude."""
        numpy, work = self._room.numpy, self._work
        numpy.einsum("ij,j->i", self._table, self._weights, out=self._sums)
        if not self._room.floating:
            return
        if self._room.narrow:
            self._room.wide[: work.size].copy_(self._laid.view(self._room.dtype))
        floats = self._floats
        numpy.add.reduce(numpy.multiply(floats, floats, work), 1, None, self._squares)
        numpy.maximum.reduce(numpy.abs(floats, work), 1, None, self._peaks)


def _counted(numpy: Any, rows: Any) -> list[int]:
    """How many of each row are true: of short rows all at once, of long ones each by what is quickest at it."""
    if rows.shape[1] < SHORT:
        counts: list[int] = numpy.add.reduce(rows, 1, "int64").tolist()
        return counts
    return [int(numpy.count_nonzero(row)) for row in rows]


def _table_shapes(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Rows and columns of the tables that neighbours of one size make."""
    for size, alike in itertools.groupby(sizes):
        left, most = len(list(alike)), max(1, CACHED // size)
        while left > 0:
            yield min(left, most), size
            left -= most
