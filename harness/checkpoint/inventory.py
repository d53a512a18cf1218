"""A saved directory, file by file and tensor by tensor. Nothing pickled is ever loaded."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.refusal import Refused
from harness.trace.arrays import BITS, read_header, tensors_of
from harness.trace.json_text import parsed

# peft writes sets into its configuration, in the order of the process's hash seed.
SET_VALUED = ("target_modules", "modules_to_save", "exclude_modules", "layers_to_transform")
# Where a run's own directories would make two equal runs differ.
PATH_VALUED = ("base_model_name_or_path", "_name_or_path")


def inventory(directory: Path) -> dict[str, Any]:
    """Files with size and digest, and tensors with file, dtype, shape and fingerprint. Needs torch for the last.

    JSON files are digested in canonical form: keys and set-valued fields sorted. Of the paths in them, and of the same
    paths in model cards, only the last name counts.
    """
    if not directory.is_dir():
        raise Refused("no such directory", where=str(directory), do="name a saved directory")
    weights = weight_files(directory)
    places = _places(directory)
    files = {
        path.relative_to(directory).as_posix(): _file_facts(path, path in weights, places) for path in _files(directory)
    }
    tensors: dict[str, dict[str, Any]] = {}
    for path in weights:
        for key, facts in _tensors(path):
            if key in tensors:
                both = f"{tensors[key]['file']} and {path.name} both hold {key}"
                raise Refused(both, where=str(directory), do="remove the older file")
            tensors[key] = facts
    return {"files": files, "tensors": dict(sorted(tensors.items()))}


def fingerprints_by_dtype(directory: Path) -> dict[str, dict[str, str]]:
    """Each key's fingerprint under every dtype it may be loaded in. Needs torch and safetensors."""
    import torch
    from safetensors.torch import load_file

    from harness.trace.fingerprint import as_hex, fingerprint

    dtypes = (torch.float32, torch.bfloat16, torch.float16)
    return {
        key: {str(dtype).split(".")[-1]: as_hex(fingerprint(tensor.to(dtype))) for dtype in dtypes}
        for path in weight_files(directory)
        for key, tensor in load_file(path).items()
    }


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files of a directory itself, in order: those in folders inside are other checkpoints."""
    return sorted(path for path in directory.iterdir() if path.suffix == ".safetensors" and path.is_file())


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def _places(directory: Path) -> set[str]:
    """The paths that the directory's configurations name."""
    found: list[Any] = []
    for path in directory.glob("*.json"):
        with contextlib.suppress(ValueError, OSError):
            value = parsed(path.read_bytes())
            found += [value.get(name) for name in PATH_VALUED] if isinstance(value, dict) else []
    return {place for place in found if isinstance(place, str) and "/" in place}


def _file_facts(path: Path, listed: bool, places: set[str]) -> dict[str, Any]:
    """Size and digest; no digest where each tensor in the file is listed with a fingerprint of its own."""
    if listed:
        return {"bytes": path.stat().st_size}
    data = path.read_bytes()
    if path.suffix == ".json":
        data = _canonical_json(data)
    if path.suffix == ".md":
        for place in sorted(places, key=len, reverse=True):
            data = data.replace(place.encode(), Path(place).name.encode())
    return {"bytes": len(data), "digest": hashlib.blake2b(data, digest_size=16).hexdigest()}


def _canonical_json(data: bytes) -> bytes:
    try:
        value = parsed(data)
    except ValueError:
        return data
    if isinstance(value, dict):
        for name in SET_VALUED:
            if isinstance(value.get(name), list):
                value[name] = sorted(value[name], key=str)
        for name in PATH_VALUED:
            if isinstance(value.get(name), str):
                value[name] = Path(value[name]).name
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _tensors(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each tensor of a shard with its fingerprint, read through the file's own bytes."""
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
