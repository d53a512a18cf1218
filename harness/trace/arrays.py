"""Reads the arrays beside a stream: safetensors files, without torch and without the safetensors library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.refusal import Refused

_DTYPES: dict[str, Any] = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16,
    "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8, "U8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip
_HEADER_LIMIT = 100_000_000  # the format's own limit


def read_header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file: name to dtype, shape and data_offsets; also `__metadata__` where it is there.

    Raises Refused, in one line, for a file that is truncated, has data missing, or is no safetensors file.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(size - 8, _HEADER_LIMIT):
                raise _damaged(path, "it is truncated or no safetensors file")
            header = json.loads(file.read(length))
        end = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
    except OSError as error:
        raise Refused(f"cannot be read: {error.strerror}", where=str(path), do="check the path") from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise _damaged(path, "its header is corrupt") from None
    if end != size - 8 - length:
        raise _damaged(path, f"it holds {size - 8 - length} bytes of data, its header says {end}")
    return dict(header)


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """All arrays of a safetensors file by name. bfloat16 comes back as float32, which holds it exactly."""
    header = read_header(path)
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    arrays = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        first, last = entry["data_offsets"]
        flat = np.frombuffer(data[start + first : start + last], dtype=_DTYPES[entry["dtype"]])
        if entry["dtype"] == "BF16":
            flat = (flat.astype(np.uint32) << 16).view(np.float32)
        arrays[name] = flat.reshape(entry["shape"])
    return arrays


def _damaged(path: Path, how: str) -> Refused:
    return Refused(f"is damaged: {how}", where=str(path), do="save or fetch it again")
