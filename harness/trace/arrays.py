"""Reads safetensors files, without torch and without the safetensors library."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from harness.refusal import Refused
from harness.trace.json_text import parsed

BITS = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "C64": 64,
    "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4,
    "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U64": 64, "U32": 32, "U16": 16, "U8": 8, "BOOL": 8,
}  # fmt: skip
"""The dtypes of the format, and how many bits an element of each takes."""

_DTYPES: dict[str, Any] = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16, "C64": np.complex64,
    "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8,
    "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8, "BOOL": np.bool_,
    **{name: np.uint8 for name in BITS if name.startswith("F8")},
}  # fmt: skip
_DIMENSIONS = 32  # of an array of numpy before version 2
_METADATA = "__metadata__"
_HEADER_LIMIT = 100_000_000  # the format's own limit


def read_header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file: name to dtype, shape and data_offsets; also `__metadata__` where it is there.

    Raises Refused, in one line, for a file that is truncated, has data missing, is no safetensors file, or whose
    header does not describe its data.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(size - 8, _HEADER_LIMIT):
                raise _damaged(path, "it is truncated or no safetensors file")
            header = parsed(file.read(length))
        metadata = header.get(_METADATA)
        if metadata is not None and not all(isinstance(value, str) for value in metadata.values()):
            raise TypeError
        entries = sorted(tensors_of(header).items(), key=lambda entry: tuple(entry[1]["data_offsets"]))
        end = max((entry["data_offsets"][1] for _, entry in entries), default=0)
    except OSError as error:
        raise Refused(f"cannot be read: {error.strerror}", where=str(path), do="check the path") from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise _damaged(path, "its header is corrupt") from None
    if end != size - 8 - length:
        raise _damaged(path, f"it holds {size - 8 - length} bytes of data, its header says {end}")
    at = 0
    for name, entry in entries:
        if wrong := _contradiction(entry, at):
            raise _damaged(path, f"{name} {wrong}")
        at = entry["data_offsets"][1]
    return dict(header)


def tensors_of(header: dict[str, Any]) -> dict[str, Any]:
    """The entries of a header that describe tensors."""
    return {name: entry for name, entry in header.items() if name != _METADATA}


def _contradiction(entry: dict[str, Any], at: int) -> str | None:
    """What is wrong with the entry of a tensor whose data must begin at a place: the format has no gaps."""
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        return f"has dtype {dtype!r}, which the format does not have"
    if not _counts(shape) or not _counts(offsets) or len(offsets) != 2:
        return f"has shape {shape!r} and data_offsets {offsets!r}"
    if offsets[0] != at:
        return f"has its data at {offsets}, and the data before it ends at {at}"
    if math.prod(shape) * BITS[dtype] != 8 * (offsets[1] - at):
        return f"has {offsets[1] - at} bytes of data, too many or too few for shape {shape} of {dtype}"
    return None


def _counts(values: Any) -> TypeGuard[list[int]]:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 1 << 63 for value in values)


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """All arrays of a safetensors file by name.

    bfloat16 comes back as float32, which holds it exactly; 8-bit floats, which numpy has not, as their bits in uint8.
    """
    tensors = tensors_of(read_header(path))
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    return {name: _array(path, name, entry, data, start) for name, entry in tensors.items()}


def _array(path: Path, name: str, entry: dict[str, Any], data: bytes, start: int) -> npt.NDArray[Any]:
    dtype, shape, (first, last) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if dtype not in _DTYPES or len(shape) > _DIMENSIONS:
        what = f"{name} has dtype {dtype} and {len(shape)} dimensions, which numpy cannot hold"
        raise Refused(what, where=str(path), do="save it as another")
    flat = np.frombuffer(data[start + first : start + last], dtype=_DTYPES[dtype])
    if dtype == "BF16":
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    return flat.reshape(shape)


def _damaged(path: Path, how: str) -> Refused:
    return Refused(f"is damaged: {how}", where=str(path), do="save or fetch it again")
