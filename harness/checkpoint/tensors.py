"""The tensors of a saved directory, each with the fingerprint it has in memory. Needs torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.checkpoint.native import beside_files, dtype_name, native_files, native_tensors
from harness.refusal import Refused
from harness.trace.arrays import BITS, read_header, tensors_of

if TYPE_CHECKING:
    import torch

Listed = dict[str, dict[str, Any]]


def listed_tensors(directory: Path) -> Listed:
    """File, dtype, shape and fingerprint of each key. Native files count where there are no safetensors files.

    Native files that hold no state dict are left out: `checkpoint_problems` names them.
    """
    found: Listed = {}
    for path in files_with_weights(directory):
        for key, facts in _tensors(path):
            if key in found:
                both = f"{found[key]['file']} and {path.name} both hold {key}"
                raise Refused(both, where=str(directory), do="remove the older file")
            found[key] = facts
    return dict(sorted(found.items()))


def files_with_weights(directory: Path) -> list[Path]:
    """Every file of weights that counts: native ones where there are no safetensors files, and those of parts."""
    return [*(weight_files(directory) or native_files(directory)), *beside_files(directory)]


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files of a directory itself, in order: those in folders inside are other checkpoints."""
    return sorted(path for path in directory.iterdir() if path.suffix == ".safetensors" and path.is_file())


def described(path: Path) -> Listed:
    """Each key of a file of weights with file, dtype and shape. Raises Refused for a file that cannot be read."""
    if path.suffix == ".safetensors":
        header = tensors_of(read_header(path))
        return {key: {"file": path.name, "dtype": e["dtype"], "shape": e["shape"]} for key, e in header.items()}
    return {key: _description(path, tensor) for key, tensor in native_tensors(path).items()}


def _description(path: Path, tensor: torch.Tensor) -> dict[str, Any]:
    return {"file": path.name, "dtype": dtype_name(tensor), "shape": list(tensor.shape)}


def _tensors(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    return _in_safetensors(path) if path.suffix == ".safetensors" else _in_native(path)


def _in_native(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    from harness.trace.fingerprint import as_hex, fingerprint

    try:
        tensors = native_tensors(path)
    except Refused:
        return
    for key, tensor in tensors.items():
        yield key, {**_description(path, tensor), "fingerprint": as_hex(fingerprint(tensor))}


def _in_safetensors(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each tensor of a shard, read through the file's own bytes."""
    import torch

    from harness.trace.fingerprint import as_hex, fingerprint

    tensors = tensors_of(read_header(path))
    data = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    for key, entry in tensors.items():
        first, last = entry["data_offsets"]
        width = max(1, BITS[entry["dtype"]] // 8)
        integers = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[width]
        flat = (
            torch.frombuffer(data, dtype=integers, offset=start + first, count=(last - first) // width)
            if last > first
            else None
        )
        yield (
            key,
            {
                "file": path.name,
                "dtype": entry["dtype"],
                "shape": entry["shape"],
                "fingerprint": as_hex(0 if flat is None else fingerprint(flat)),
            },
        )
