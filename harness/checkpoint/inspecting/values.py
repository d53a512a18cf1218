"""The values themselves: piece by piece through the file, never a whole tensor in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.checkpoint.inspecting.case import Case, NotJudged, count, listed
from harness.checkpoint.inspecting.findings import NotFinite
from harness.refusal import Refused
from harness.result import Finding
from harness.trace.arrays import read_header

PIECE = 1 << 22
_SAMPLES = 64
_READ_WHOLE = 1 << 26
_EXPONENTS = {"F16": (np.uint16, 0x7C00), "BF16": (np.uint16, 0x7F80), "F32": (np.uint32, 0x7F800000)}


def values(case: Case) -> Iterator[Finding]:
    """Infinities and what is no number; only where hashes are asked for, for every byte has to be read."""
    if not case.hashes:
        raise NotJudged("values are read only where hashes are asked for: --hashes")
    bad = []
    for file in case.saved.files:
        bad += [key for key, number in not_finite(case.path / file) if number]
    if bad:
        yield NotFinite(
            expected="finite numbers alone",
            seen=f"{count(len(bad), 'tensor')} with infinities or values that are no numbers",
            where=listed(bad),
            cause="the loss diverged, or a half-precision cast overflowed, before the save",
            do="go back to a step before; harness check TRACE says at which step the values became so",
        )


def not_finite(path: Path) -> Iterator[tuple[str, int]]:
    """How many values of each tensor of a file are not finite."""
    if path.suffix != ".safetensors":
        from harness.checkpoint.native import native_tensors

        for key, tensor in native_tensors(path).items():
            if tensor.is_floating_point():
                yield key, int((~tensor.isfinite()).sum())
        return
    for key, entry, start in _entries(path):
        if entry["dtype"] in _EXPONENTS:
            kind, mask = _EXPONENTS[entry["dtype"]]
            pieces = _pieces(path, start, entry)
            yield key, sum(int(((words & kind(mask)) == kind(mask)).sum()) for words in _words(pieces, kind))
        elif entry["dtype"] == "F64":
            yield (
                key,
                sum(int((~np.isfinite(words)).sum()) for words in _words(_pieces(path, start, entry), np.float64)),
            )


def differ(directory: Path, one: tuple[str, str], other: tuple[str, str], *, whole: bool) -> str:
    """How two tensors of the same shape and dtype differ, by their bytes; empty where they do not.

    Large ones are looked at in places, unless the whole is asked for.
    """
    if not all(file.endswith(".safetensors") for file, _ in (one, other)):
        from harness.checkpoint.native import native_tensors

        first, second = (native_tensors(directory / file)[key] for file, key in (one, other))
        return "" if bool((first == second).all()) else "in value"
    places = []
    for file, key in (one, other):
        entry, start = next((e, s) for k, e, s in _entries(directory / file) if k == key)
        places.append((directory / file, start + entry["data_offsets"][0]))
        size = entry["data_offsets"][1] - entry["data_offsets"][0]
    with places[0][0].open("rb") as left, places[1][0].open("rb") as right:
        for at, length in _looked_at(size, whole):
            left.seek(places[0][1] + at)
            right.seek(places[1][1] + at)
            if left.read(length) != right.read(length):
                return "in value"
    return ""


def _looked_at(size: int, whole: bool) -> Iterator[tuple[int, int]]:
    if whole or size <= _READ_WHOLE:
        yield from ((at, PIECE) if at + PIECE <= size else (at, size - at) for at in range(0, size, PIECE))
    else:
        length = 1 << 16
        yield from ((size // _SAMPLES * number, length) for number in range(_SAMPLES))


def _entries(path: Path) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Every tensor, and where the data of its file begins."""
    try:
        header = read_header(path)
    except Refused:
        return
    with path.open("rb") as file:
        start = 8 + int.from_bytes(file.read(8), "little")
    yield from ((key, entry, start) for key, entry in header.items() if key != "__metadata__")


def _pieces(path: Path, start: int, entry: dict[str, Any]) -> Iterator[bytes]:
    first, last = entry["data_offsets"]
    with path.open("rb") as file:
        file.seek(start + first)
        for at in range(first, last, PIECE):
            yield file.read(min(PIECE, last - at))


def _words(pieces: Iterator[bytes], kind: Any) -> Iterator[npt.NDArray[Any]]:
    return (np.frombuffer(piece, dtype=kind) for piece in pieces)
