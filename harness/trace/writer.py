"""Writes one process's stream of a trace. torch and the standard library only; Python 3.9 and later."""

from __future__ import annotations

import ctypes
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

STORED = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip

_FLOATS = {float, type(None)}
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_quoted = json.encoder.encode_basestring_ascii


class StreamWriter:
    """An append-only stream of records, and arrays beside it. Nothing is on disk before `flush`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._file = (directory / "events.jsonl").open("w", encoding="utf-8")
        self._arrays = 0
        self._pending: list[Mapping[str, Any]] = []

    def emit(self, kind: str, **record: Any) -> None:
        """Append one record. Its lists are read when it is flushed: encoding a step's records at once is quicker."""
        self._pending.append({"kind": kind, **record})

    def flush(self) -> None:
        """Hand what was emitted to the operating system, so that a killed process loses nothing of it."""
        lines = [encoded(record) + "\n" for record in self._pending]
        self._pending = []
        self._file.write("".join(lines))
        self._file.flush()

    def arrays(self, tensors: Mapping[str, torch.Tensor]) -> str:
        """Write named tensors into the next numbered file and return its name."""
        name = f"arrays-{self._arrays:03d}.safetensors"
        self._arrays += 1
        write_safetensors(self.directory / name, tensors)
        return name

    def close(self) -> None:
        self.flush()
        self._file.close()


def encoded(record: Mapping[str, Any]) -> str:
    """One record as a JSON line without its line break.

    A column of floats is written with nine digits, which tell any two of float32 apart: a fraction of the work, and of
    the size, of the seventeen of float64.
    """
    plain: dict[str, Any] = {}
    parts = [""]
    for name, value in record.items():
        if isinstance(value, dict):
            parts.append(f"{_quoted(str(name))}:{encoded(value)}")
        elif isinstance(value, list) and _is_column(value):
            parts.append(f"{_quoted(str(name))}:{_column(value)}")
        else:
            plain[name] = value
    try:
        parts[0] = _ENCODER.encode(plain)[1:-1]
    except ValueError:
        parts[0] = _ENCODER.encode({name: _finite(value) for name, value in plain.items()})[1:-1]
    return "{" + ",".join(filter(None, parts)) + "}"


def _is_column(value: list[Any]) -> bool:
    return len(value) > 1 and set(map(type, value)) <= _FLOATS


def _column(column: Sequence[float | None]) -> str:
    there = [item for item in column if item is not None]
    alike = len(there) == len(column)
    form = "%.9g," * len(column) if alike else "".join(["null," if item is None else "%.9g," for item in column])
    text = form[:-1] % tuple(there)
    if "n" in text.replace("null", ""):  # nan, inf
        return _ENCODER.encode(_finite(column))
    return f"[{text}]"


def _finite(value: Any) -> Any:
    """The value with each float that JSON cannot hold as the string "nan", "inf" or "-inf"."""
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def write_safetensors(
    path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors in the safetensors format (8-byte length, JSON header, data), in the order given.

    Written by hand because the recorder must not import more than torch. A trace's files carry no metadata: with
    several metadata keys the library's own files differ from run to run.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    chunks: list[bytes] = []
    offset = 0
    for name, given in tensors.items():
        tensor = given.detach().to("cpu").contiguous()
        data = ctypes.string_at(tensor.data_ptr(), tensor.numel() * tensor.element_size()) if tensor.numel() else b""
        header[name] = {
            "dtype": STORED[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + len(data)],
        }
        offset += len(data)
        chunks.append(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            file.writelines(chunks)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
