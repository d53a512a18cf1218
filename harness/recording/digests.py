"""One number over many tensors: whether an optimizer's state, or a batch's pixels, are what they were."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from harness.trace.fingerprint import as_hex, weights

LINE = 256  # 64-bit words


class Digest:
    """Weighted sums over the lines and over the columns of a table of 64-bit words: tensors end to end, by dtype.

    For a fraction of a fingerprint's work it notices any word that differs, and any two that change places, for no two
    share line and column. What can be kept for tensors that stay where they are is kept. With `first`, it is over so
    many elements of each tensor alone.
    """

    def __init__(self, first: int | None = None) -> None:
        self._first = first
        self._places: list[int] = []
        self._tables: list[_Table] = []

    def __call__(self, tensors: Iterable[torch.Tensor]) -> str:
        tensors = list(tensors)
        places = list(map(torch.Tensor.data_ptr, tensors))
        in_place = all(map(torch.Tensor.is_contiguous, tensors))  # elsewhere what is kept are copies
        if places != self._places or not in_place:
            self._tables = [_Table(flat) for flat in _by_kind(tensors, self._first)]
            self._places = places if in_place else []
        return as_hex(sum(table.sum() for table in self._tables))


class _Table:
    """Tensors of one dtype and device, laid end to end; a single one that is whole words stays in place.

    The words after the last whole line count for themselves.
    """

    def __init__(self, flat: list[torch.Tensor]) -> None:
        self._flat = flat
        size, first = sum(map(len, flat)), flat[0]
        self._in_place = len(flat) == 1 and size % 8 == 0 and first.storage_offset() % 8 == 0
        room = first if self._in_place else first.new_zeros(-(-size // 8) * 8)
        words = room.view(torch.int64)
        whole = len(words) // LINE * LINE
        self._laid, self._lines, self._rest = room[:size], words[:whole].view(-1, LINE), words[whole:]
        self._weights = weights(0, len(self._lines) + LINE + len(words) - whole, room.device)

    def sum(self) -> int:
        if not self._in_place:
            torch.cat(self._flat, out=self._laid)
        sums = torch.cat([self._lines.sum(1), self._lines.sum(0), self._rest])
        if sums.device.type == "cpu":
            return int(torch.dot(sums, self._weights))
        return int((sums * self._weights).sum())  # there are no products of integers on a GPU


def _by_kind(tensors: list[torch.Tensor], first: int | None) -> list[list[torch.Tensor]]:
    """Flat, apart by dtype and device, and of each its first elements alone if it is said how many."""
    kinds: dict[Any, list[torch.Tensor]] = {}
    for tensor in tensors:
        flat = tensor.detach().reshape(-1)
        kinds.setdefault((tensor.dtype, tensor.device), []).append(flat if first is None else flat[:first])
    return list(kinds.values())
