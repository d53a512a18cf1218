"""The fingerprint of `fingerprint.py` as one Triton kernel over many tensors at once.

Every element is read once. What would cost more than reading are the weights, two multiplications of 64 bits each: they
follow from an element's place alone, so that a program makes those of its places once, keeps them in registers, and
uses them for every tensor that has elements there. Sums are integers: in whichever order they are added, they are the
same.

triton comes with torch for CUDA. This module is imported only where it is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import triton
import triton.language as tl

STEP = tl.constexpr(0x9E3779B97F4A7C15)
FIRST_FACTOR, SECOND_FACTOR = tl.constexpr(0xBF58476D1CE4E5B9), tl.constexpr(0x94D049BB133111EB)
ALIGNED_TO = 16  # bytes that one thread reads at once, if the kernel knows that they begin at such a multiple
_WORDS = {torch.uint8: tl.uint8, torch.int16: tl.int16, torch.int32: tl.int32}


@dataclass(frozen=True)
class Shape:
    """How the work is cut: places of a program, tensors it takes at a time, warps that share it."""

    places: int = 2048
    together: int = 4
    warps: int = 8


@triton.jit
def odd_weights(places):  # type: ignore[no-untyped-def]
    """splitmix64 of each place, made odd."""
    z = (places.to(tl.uint64, bitcast=True) + 1) * STEP
    z = (z ^ (z >> 30)) * FIRST_FACTOR
    z = (z ^ (z >> 27)) * SECOND_FACTOR
    return (z ^ (z >> 31)) | 1


@triton.jit  # type: ignore[untyped-decorator]
def add_weighted(  # type: ignore[no-untyped-def]
    addresses,
    sizes,
    counts,
    sums,
    first,
    WORD: tl.constexpr,  # noqa: N803
    PLACES: tl.constexpr,  # noqa: N803
    TOGETHER: tl.constexpr,  # noqa: N803
    ALIGNED: tl.constexpr,  # noqa: N803
):
    """Add to the sum of each tensor what this program's places of it are worth.

    Tensors come by size, the largest first: `counts` says how many reach into the places of each program. `first` is
    the place of the tensors' first words in the whole.
    """
    block = tl.program_id(0)
    begin = block.to(tl.int64) * PLACES
    places = begin + tl.arange(0, PLACES).to(tl.int64)
    odd = odd_weights(places + first)
    count = tl.load(counts + block)
    for at in range(0, count, TOGETHER):
        number = at + tl.arange(0, TOGETHER)
        which = tl.minimum(number, count - 1)
        starts = tl.load(addresses + which).to(tl.pointer_type(WORD))[:, None]
        if ALIGNED:  # else the words would be read one by one
            starts = tl.multiple_of(starts, [16, 16])
        words = starts + places[None, :]
        shortest = tl.load(sizes + tl.minimum(at + TOGETHER, count) - 1)
        if shortest >= begin + PLACES:  # a mask would have the words read one by one
            piece = tl.load(words)
        else:
            piece = tl.load(words, mask=places[None, :] < tl.load(sizes + which)[:, None], other=0)
        worth = piece.to(tl.int64) * odd.to(tl.int64, bitcast=True)[None, :]
        tl.atomic_add(sums + which, tl.sum(worth, axis=1), mask=number < count, sem="relaxed")


class Fused:
    """Flat words of one dtype on one device, laid out for the kernel once, and summed as often as asked.

    The words must stay where they are. `first` is the place of each tensor's first word in the whole it is a shard of.
    """

    def __init__(self, flat: Sequence[torch.Tensor], first: int = 0, shape: Shape | None = None) -> None:
        self.order = sorted(range(len(flat)), key=lambda number: -len(flat[number]))
        self._flat, self._first = [flat[number] for number in self.order], first
        self._shape = shape or Shape()
        device = self._flat[0].device
        sizes = torch.tensor([len(one) for one in self._flat])
        starts = torch.arange(0, len(self._flat[0]), self._shape.places)
        counts = len(sizes) - torch.searchsorted(sizes.flip(0), starts, right=True)
        self._aligned = all(one.data_ptr() % ALIGNED_TO == 0 for one in self._flat)
        addresses = torch.tensor([one.data_ptr() for one in self._flat])
        self._tables = [table.to(device) for table in (addresses, sizes, counts.to(torch.int32))]
        self._programs = len(starts)

    def sums(self) -> torch.Tensor:
        """The signed fingerprint of each tensor, in `order`; int64, on their device, and nobody waits for it."""
        found = self._flat[0].new_zeros(len(self._flat), dtype=torch.int64)
        shape, word = self._shape, _WORDS[self._flat[0].dtype]
        kernel: Any = add_weighted[(self._programs,)]
        kernel(
            *self._tables,
            found,
            self._first,
            WORD=word,
            PLACES=shape.places,
            TOGETHER=shape.together,
            ALIGNED=self._aligned,
            num_warps=shape.warps,
        )
        return found
