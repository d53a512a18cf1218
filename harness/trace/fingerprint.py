"""One fingerprint everywhere: the sum modulo 2**64 of element bits times a pseudo-random odd weight of their index.

It notices permuted elements (a plain sum or an XOR does not), adds up over shards (give each its offset), and is
the same on CPU and GPU, for it is integer arithmetic alone. The weights are splitmix64 (Steele, Lea and Flood,
"Fast splittable pseudorandom number generators", OOPSLA 2014) of the index, made odd so that no bit is lost.
An element of 8 bytes counts as two words of 4: odd weights differ by an even number, so that of two elements which
differ in their highest bit alone, a swap would go unseen. Below 8 bytes the highest bit of a word is far from 2**63.
torch and the standard library only.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence
from typing import Any

import torch

CHUNK = 1 << 16  # small enough that what is computed on the way stays in the processor's cache
_KEPT = 1 << 20
_WORDS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int32}
_cached: dict[torch.device, torch.Tensor] = {}


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


_STEP = _signed(0x9E3779B97F4A7C15)
_MIX = ((30, _signed(0xBF58476D1CE4E5B9)), (27, _signed(0x94D049BB133111EB)))


def scrambled(index: torch.Tensor) -> torch.Tensor:
    """splitmix64 of each element: int64 in, int64 out, same shape."""
    z = (index + 1) * _STEP
    for shift, factor in _MIX:
        z = (z ^ ((z >> shift) & ((1 << (64 - shift)) - 1))) * factor
    return z ^ ((z >> 31) & ((1 << 33) - 1))


def weights(start: int, count: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """The odd weights of `count` elements from index `start` on, int64 of shape (count,)."""
    device = torch.device(device)
    if start + count <= _KEPT:
        if device not in _cached or len(_cached[device]) < start + count:
            _cached[device] = scrambled(torch.arange(start + count, device=device)) | 1
        return _cached[device][start : start + count]
    if device.type == "cpu" and (numpy := sys.modules.get("numpy")):
        return torch.from_numpy(_in_place(numpy, start, count))
    return scrambled(torch.arange(start, start + count, device=device)) | 1


def _in_place(numpy: Any, start: int, count: int) -> Any:
    """The same where torch has brought numpy along, in a quarter of the time: nothing is copied on the way, and
    numbers without a sign are shifted as they should be."""
    z = numpy.arange(start + 1, start + count + 1, dtype="uint64")
    z *= numpy.uint64(_STEP % (1 << 64))
    shifted = numpy.empty_like(z)
    for shift, factor in _MIX:
        numpy.bitwise_xor(z, numpy.right_shift(z, numpy.uint64(shift), out=shifted), out=z)
        z *= numpy.uint64(factor % (1 << 64))
    numpy.bitwise_xor(z, numpy.right_shift(z, numpy.uint64(31), out=shifted), out=z)
    z |= numpy.uint64(1)
    return z.view("int64")


def bits(tensor: torch.Tensor) -> torch.Tensor:
    """The elements' bits as words of at most 4 bytes, flat, without copying where the layout allows it."""
    flat = tensor.detach().reshape(-1).contiguous()
    if flat.is_complex():
        flat = torch.view_as_real(flat).reshape(-1)
    return flat.view(_WORDS[flat.element_size()])


def words_per_element(dtype: torch.dtype) -> int:
    """How many words `bits` makes of one element: more than one where an element is longer than 4 bytes."""
    return max(1, torch.empty(0, dtype=dtype).element_size() // 4)


def fingerprint(tensor: torch.Tensor, start: int = 0) -> int:
    """The fingerprint of a tensor of any shape and dtype, as an unsigned 64-bit integer.

    `start` is the flat index of its first element in the whole it is a shard of: shards add up modulo 2**64.
    """
    flat, total = bits(tensor), 0
    start *= words_per_element(tensor.dtype)
    for at in range(0, flat.numel(), CHUNK):
        piece = flat[at : at + CHUNK].to(torch.int64)
        total += int((piece * weights(start + at, len(piece), flat.device)).sum())
    return total % (1 << 64)


def as_hex(value: int) -> str:
    """Sixteen hexadecimal digits."""
    return format(value % (1 << 64), "016x")


def as_hexes(values: Sequence[int]) -> list[str]:
    """The same of many signed numbers of 64 bits."""
    text = struct.pack(f">{len(values)}q", *values).hex()
    return [text[at : at + 16] for at in range(0, len(text), 16)]
