"""Fingerprints of many tensors at once, on the device where they are, which is waited for once.

By one fused kernel where triton is there and has proven itself, else by torch's own operations. Both give what
`fingerprint.py` gives on a CPU, bit for bit. torch and the standard library only, and triton if it is there; Python 3.9
and later.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

import torch

from harness.trace.fingerprint import bits, fingerprint, weights, words_per_element

FUSED, EAGER = "fused", "eager"
CHUNK = 1 << 20  # words that torch's own operations take at a time on a device: a call costs more than what it adds
_doubts: dict[torch.device, str | None] = {}


class Fingerprints:
    """The fingerprints of tensors whose shapes are fixed, as often as asked; those of size 0 have 0.

    `way` is how they are computed, by itself the best that the device has. `start` is as in `fingerprint`.
    """

    def __init__(self, tensors: Sequence[torch.Tensor], start: int = 0, way: str | None = None) -> None:
        self.tensors, self._start, self._way = list(tensors), start, way
        self._places: list[tuple[int, tuple[int, ...]]] = []
        self._groups: list[tuple[list[int], Any]] = []

    def __call__(self) -> list[int]:
        """One unsigned number for each tensor; the device is waited for once."""
        found = [0] * len(self.tensors)
        groups = self._current()
        if not groups:
            return found
        device = self.tensors[0].device
        values = torch.cat([group.sums().to(device) for _, group in groups]).tolist()
        for place, number in enumerate(number for numbers, _ in groups for number in numbers):
            found[number] = values[place] % (1 << 64)
        return found

    def _current(self) -> list[tuple[list[int], Any]]:
        """The groups, made anew only where a tensor was given other memory or another layout."""
        places = [(tensor.data_ptr(), tensor.stride()) for tensor in self.tensors]
        if places != self._places:
            self._groups = self._grouped()
            in_place = all(tensor.is_contiguous() for tensor in self.tensors)  # elsewhere words are copies
            self._places = places if in_place else []
        return self._groups

    def _grouped(self) -> list[tuple[list[int], Any]]:
        """Tensors that one kernel can take: of one device and words of one size, at one place in their wholes."""
        kinds: dict[Any, list[int]] = {}
        for number, tensor in enumerate(self.tensors):
            if tensor.numel():
                words = words_per_element(tensor.dtype)
                kinds.setdefault((tensor.device, words, bits(torch.empty(0, dtype=tensor.dtype)).dtype), []).append(
                    number
                )
        groups = []
        for (device, words, _), numbers in kinds.items():
            way = self._way or way_of(device)
            group = _group(way, [bits(self.tensors[number]) for number in numbers], self._start * words)
            groups.append(([numbers[place] for place in group.order], group))
        return groups


def way_of(device: torch.device) -> str:
    """How the fingerprints of what lies on a device are computed."""
    return FUSED if device.type == "cuda" and why_not_fused(device) is None else EAGER


def why_not_fused(device: torch.device) -> str | None:
    """Why the fused kernel is not used on a device; None where it is. Asked once, by trying it against the CPU's."""
    if device not in _doubts:
        _doubts[device] = _doubt(device)
    return _doubts[device]


def _doubt(device: torch.device) -> str | None:
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed"
    for dtype in (torch.uint8, torch.int16, torch.int32):
        here = torch.arange(5001, dtype=torch.int32).mul(48271).to(dtype)
        there = here.to(device)
        try:
            found = Fingerprints([there, there[:7], there[1:4999]], way=FUSED)()
        except Exception as error:  # no compiler on this machine, an old driver: whatever it is, it is said
            return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        if found != [fingerprint(here), fingerprint(here[:7]), fingerprint(here[1:4999])]:
            return "the kernel gives other numbers than the CPU"
    return None


def _group(way: str, flat: list[torch.Tensor], first: int) -> Any:
    if way == FUSED:
        from harness.trace.fused_fingerprint import Fused

        return Fused(flat, first)
    return Eager(flat, first)


class Eager:
    """The same as `fused_fingerprint.Fused` by torch's own operations."""

    def __init__(self, flat: Sequence[torch.Tensor], first: int = 0) -> None:
        self._flat, self._first = list(flat), first
        self.order = list(range(len(flat)))

    def sums(self) -> torch.Tensor:
        """The signed fingerprint of each tensor, in `order`, on their device."""
        return torch.stack([self._sum(flat) for flat in self._flat])

    def _sum(self, flat: torch.Tensor) -> torch.Tensor:
        pieces = []
        for at in range(0, len(flat), CHUNK):
            piece = flat[at : at + CHUNK].to(torch.int64)
            pieces.append((piece * weights(self._first + at, len(piece), flat.device)).sum())
        return torch.stack(pieces).sum()
