"""The values themselves: piece by piece through the file, never a whole tensor in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.checkpoint.inspecting.case import Case, NotJudged
from harness.checkpoint.inspecting.findings import NotFinite
from harness.refusal import Refused
from harness.result import Finding
from harness.trace.array_fingerprint import of_piece
from harness.trace.arrays import BITS, read_header
from harness.wording import count, listed

PIECE = 1 << 22
_SAMPLES = 64
_READ_WHOLE = 1 << 26
_WORDS = {1: np.uint8, 2: np.int16, 4: np.int32}
_EXPONENTS: dict[str, tuple[Any, int]] = {
    "F16": (np.uint16, 0x7C00),
    "BF16": (np.uint16, 0x7F80),
    "F32": (np.uint32, 0x7F800000),
}


@dataclass(frozen=True)
class Scanned:
    """A tensor's fingerprint, the one that traces have, and how many of its values are not finite."""

    fingerprint: str
    not_finite: int


def values(case: Case) -> Iterator[Finding]:
    """Infinities and what is no number; only where hashes are asked for, for every byte has to be read."""
    if not case.hashes:
        raise NotJudged("values are read only where hashes are asked for: --hashes")
    case.remembered["scanned"] = scanned = {
        key: facts for file in case.saved.files for key, facts in scan(case.path / file)
    }
    if bad := [key for key, facts in scanned.items() if facts.not_finite]:
        yield NotFinite(
            expected="finite numbers alone",
            seen=f"{count(len(bad), 'tensor')} with infinities or values that are no numbers",
            where=listed(sorted(bad)),
            cause="the loss diverged, or a half-precision cast overflowed, before the save",
            do="go back to a step before; harness check TRACE says at which step the values became so",
        )


def scan(path: Path) -> Iterator[tuple[str, Scanned]]:
    """Every tensor of a file of weights, read piece by piece."""
    if path.suffix != ".safetensors":
        from harness.checkpoint.native import native_tensors
        from harness.trace.fingerprint import as_hex, fingerprint

        for key, tensor in native_tensors(path).items():
            bad = int((~tensor.isfinite()).sum()) if tensor.is_floating_point() else 0
            yield key, Scanned(as_hex(fingerprint(tensor)), bad)
        return
    for key, entry, start in _entries(path):
        yield key, _scanned(path, start, entry)


def _scanned(path: Path, start: int, entry: dict[str, Any]) -> Scanned:
    kind = _WORDS[min(max(1, BITS[entry["dtype"]] // 8), 4)]  # 8 bytes count as two words of 4
    total = bad = at = 0
    for piece in _pieces(path, start, entry):
        words = np.frombuffer(piece, dtype=kind)
        total += of_piece(words, at)
        at += len(words)
        bad += _not_finite(piece, entry["dtype"])
    return Scanned(format(total % (1 << 64), "016x"), bad)


def _not_finite(piece: bytes, dtype: str) -> int:
    if dtype == "F64":
        return int((~np.isfinite(np.frombuffer(piece, dtype=np.float64))).sum())
    if dtype not in _EXPONENTS:
        return 0
    kind, mask = _EXPONENTS[dtype]
    words = np.frombuffer(piece, dtype=kind)
    return int(((words & kind(mask)) == kind(mask)).sum())


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
