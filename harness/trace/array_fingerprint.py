"""The fingerprint of `fingerprint.py` on arrays, for values that no run has fingerprinted. numpy alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = ((30, np.uint64(0xBF58476D1CE4E5B9)), (27, np.uint64(0x94D049BB133111EB)))


def fingerprint(values: npt.NDArray[Any], dtype: str | None = None) -> str:
    """Sixteen hexadecimal digits for an array of 16 or 32 bits as it was in memory.

    bfloat16 comes as float32, and has to be named; other dtypes are seen.
    """
    words = np.ascontiguousarray(values).reshape(-1)
    if dtype == "bfloat16":
        words = (words.view(np.uint32) >> 16).astype(np.uint16)
    signed = words.view(np.int16 if words.itemsize == 2 else np.int32).astype(np.int64).view(np.uint64)
    return format(int((signed * _weights(len(words))).sum(dtype=np.uint64)), "016x")


def of_piece(words: npt.NDArray[Any], start: int) -> int:
    """What the words of a tensor from a place on add to its fingerprint, modulo 2**64."""
    signed = words.astype(np.int64).view(np.uint64)
    return int((signed * _weights(len(words), start)).sum(dtype=np.uint64))


def _weights(number: int, start: int = 0) -> npt.NDArray[np.uint64]:
    """The odd weight of each flat index: splitmix64."""
    z = (np.arange(start, start + number, dtype=np.uint64) + np.uint64(1)) * _STEP
    for shift, factor in _MIX:
        z = (z ^ (z >> np.uint64(shift))) * factor
    return (z ^ (z >> np.uint64(31))) | np.uint64(1)
