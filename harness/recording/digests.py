"""One number over many tensors: whether an optimizer's state is what it was."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from harness.trace.fingerprint import as_hex, weights


class Digest:
    """The sum of 64-bit words times the fingerprint's weights, over tensors laid end to end by dtype.

    Half the work of a fingerprint, and as sensitive but for two words that differ in their highest bit alone and change
    places. What can be kept for tensors that stay where they are is kept.
    """

    def __init__(self) -> None:
        self._addresses: list[int] = []
        self._rows: list[_Row] = []

    def __call__(self, tensors: Iterable[torch.Tensor]) -> str:
        tensors = [tensor.detach() if tensor.requires_grad else tensor for tensor in tensors]
        addresses = [tensor.data_ptr() for tensor in tensors]
        if addresses != self._addresses or not all(tensor.is_contiguous() for tensor in tensors):
            self._addresses = addresses
            self._rows = [_Row(members) for members in _by_kind(tensors)]
        return as_hex(sum(row.sum() for row in self._rows))


class _Row:
    """Tensors of one dtype and device, and room to lay them end to end in whole 64-bit words."""

    def __init__(self, tensors: list[torch.Tensor]) -> None:
        self._flat = [tensor.reshape(-1) for tensor in tensors]
        size = sum(map(len, self._flat))
        room = torch.zeros(-(-size // 8) * 8, dtype=tensors[0].dtype, device=tensors[0].device)
        self._laid, self._words = room[:size], room.view(torch.int64)
        self._weights = weights(0, len(self._words), room.device)

    def sum(self) -> int:
        torch.cat(self._flat, out=self._laid)
        return int(torch.dot(self._words, self._weights))


def _by_kind(tensors: list[torch.Tensor]) -> list[list[torch.Tensor]]:
    kinds: dict[Any, list[torch.Tensor]] = {}
    for tensor in tensors:
        kinds.setdefault((tensor.dtype, tensor.device), []).append(tensor)
    return list(kinds.values())
