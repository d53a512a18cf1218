"""Tensors laid end to end and reduced one by one without torch being called for each: by numpy where torch has brought
it along, else by torch.

numpy is several times as fast on small tensors, but not every environment that the recorder enters has it; nothing is
imported here. Both give the same numbers.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Protocol

import torch

from harness.recording.tables import Tables
from harness.trace.fingerprint import bits, weights, words_per_element


class Stretches(Protocol):
    """What is asked of tensors of one dtype and device whose shapes are fixed, none of size 0."""

    def changed(self) -> list[int]:
        """Read the tensors again: how many elements of each differ in any bit from what was read before."""

    def fingerprints(self) -> list[int]:
        """The fingerprint of each tensor as it was read, as trace.fingerprint defines it, signed."""

    def norms_and_peaks(self) -> tuple[list[float], list[float]]:
        """The 2-norm and the largest magnitude of each tensor as it was read, NaN where there is one."""


def stretches(tensors: Sequence[torch.Tensor]) -> Stretches:
    """The tensors, read once."""
    numpy = sys.modules.get("numpy")
    return Tables(tensors, numpy) if numpy and tensors[0].device.type == "cpu" else TorchStretches(tensors)


class TorchStretches:
    """Tensors anywhere, as differences of one running sum, which is exact for integers."""

    def __init__(self, tensors: Sequence[torch.Tensor]) -> None:
        self._tensors = list(tensors)
        self._sizes = [tensor.numel() for tensor in tensors]
        device, self._words = tensors[0].device, words_per_element(tensors[0].dtype)
        lengths = [size * self._words for size in self._sizes]
        odd = weights(0, max(lengths), device)
        self._weights = torch.cat([odd[:length] for length in lengths])
        self._last = (torch.cumsum(torch.tensor(lengths), 0) - 1).to(device)
        self._flat = self._read()

    def _read(self) -> torch.Tensor:
        return torch.cat([bits(tensor) for tensor in self._tensors])

    def changed(self) -> list[int]:
        before, self._flat = self._flat, self._read()
        if torch.equal(before, self._flat):
            return [0] * len(self._sizes)
        ones = torch.zeros_like(before, dtype=torch.int64)
        ones[:: self._words] = (before != self._flat).view(-1, self._words).any(1)
        return self._sums(ones)

    def fingerprints(self) -> list[int]:
        return self._sums(self._flat * self._weights)

    def _sums(self, flat: torch.Tensor) -> list[int]:
        running = torch.cumsum(flat, 0)[self._last]
        found: list[int] = torch.diff(running, prepend=running.new_zeros(1)).tolist()
        return found

    def norms_and_peaks(self) -> tuple[list[float], list[float]]:
        floats = self._flat.view(self._tensors[0].dtype)
        parts = torch.split(floats.to(torch.float32) if floats.element_size() < 4 else floats, self._sizes)
        lengths: list[float] = torch.stack([torch.linalg.vector_norm(part) for part in parts]).tolist()
        extremes = torch.stack([end.double() for part in parts for end in torch.aminmax(part)]).abs_().view(-1, 2)
        peaks: list[float] = extremes.amax(1).tolist()
        return lengths, peaks
