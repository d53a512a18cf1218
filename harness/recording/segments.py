"""Per-tensor numbers of many tensors at once.

A tiny model has a hundred small parameters; asking each for everything costs more than a step may. Tensors of one
dtype are laid end to end and reduced stretch by stretch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from harness.recording.stretches import stretches
from harness.trace.fingerprint import bits, weights, words_per_element


class Segments:
    """Tensors of one dtype, laid end to end. Shapes are fixed; the values are read anew by `changed`."""

    def __init__(self, tensors: Sequence[torch.Tensor]) -> None:
        self.tensors = list(tensors)
        device = self.tensors[0].device
        words = words_per_element(self.tensors[0].dtype)
        self._words = stretches([tensor.numel() * words for tensor in self.tensors], device)
        self._elements = self._words if words == 1 else stretches([tensor.numel() for tensor in self.tensors], device)
        self._words_each = words
        self._weights = weights(0, max(tensor.numel() for tensor in self.tensors) * words, device)
        self._places: list[tuple[int, tuple[int, ...]]] = []
        self._views: list[torch.Tensor] = []
        self.flat = torch.cat(self._current_views())
        self._spare = torch.empty_like(self.flat)
        self._wide: torch.Tensor | None = None
        self._moving = False  # what moved at one step will move at the next: no need to ask first

    def _current_views(self) -> list[torch.Tensor]:
        """The tensors' bits in place, looked up again only where a tensor was given other memory or another layout."""
        places = [(tensor.data_ptr(), tensor.stride()) for tensor in self.tensors]
        if places != self._places:
            self._views = [bits(tensor) for tensor in self.tensors]
            in_place = all(tensor.is_contiguous() for tensor in self.tensors)  # elsewhere the views are copies
            self._places = places if in_place else []
        return self._views

    def read(self) -> None:
        """Read the tensors again."""
        self.flat, self._spare = torch.cat(self._current_views(), out=self._spare), self.flat

    def changed(self) -> list[int]:
        """Read the tensors again: how many elements of each differ in any bit from what was read before."""
        self.read()
        if not self._moving and torch.equal(self.flat, self._spare):
            return [0] * len(self.tensors)
        changed = self._words.differing(self.flat, self._spare, self._words_each)
        self._moving = any(changed)
        return changed

    def fingerprints(self) -> list[int]:
        """The fingerprint of each tensor, as trace.fingerprint defines it, signed."""
        return self._words.weighted_sums(self.flat, self._weights)

    def norms_and_peaks(self) -> tuple[list[float], list[float]]:
        """The 2-norm and the largest magnitude of each tensor."""
        floats = self.flat.view(self.tensors[0].dtype)
        if floats.element_size() < 4:
            self._wide = floats.to(torch.float32) if self._wide is None else self._wide.copy_(floats)
            floats = self._wide
        return self._elements.norms(floats), self._elements.peaks(floats)


def norms(tensors: Sequence[torch.Tensor]) -> list[float]:
    """The 2-norm of each tensor, in float32 at least: a norm of float16 overflows where none of its elements does."""
    if not tensors:
        return []
    if any(tensor.device.type != "cpu" for tensor in tensors):
        return _in_one_go([norm_of(tensor) for tensor in tensors])
    if {tensor.dtype for tensor in tensors} - {torch.float32}:
        tensors = [tensor.double() for tensor in tensors]
    with torch.no_grad():
        values: list[float] = torch.stack(torch._foreach_norm(list(tensors))).tolist()
    return values


def nonzero(tensors: Sequence[torch.Tensor]) -> list[int]:
    """How many elements of each tensor are not zero."""
    if not tensors:
        return []
    counts: list[int] = _in_one_go([torch.count_nonzero(tensor.detach()) for tensor in tensors])
    return counts


def any_nonzero(tensors: Sequence[torch.Tensor]) -> list[bool]:
    """Whether each tensor has an element that is not zero."""
    return _in_one_go([tensor.detach().any() for tensor in tensors]) if tensors else []


def norm_of(tensor: torch.Tensor) -> torch.Tensor:
    """The 2-norm, added up in float32 at least, without a copy of the tensor."""
    wide = torch.float32 if tensor.element_size() < 4 else None
    norm: torch.Tensor = torch.linalg.vector_norm(tensor.detach(), dtype=wide)
    return norm


def _in_one_go(numbers: Sequence[torch.Tensor]) -> list[Any]:
    """Numbers that lie on one device or on several, which are waited for once."""
    device = numbers[0].device
    found: list[Any] = torch.stack([number.to(device) for number in numbers]).tolist()
    return found
