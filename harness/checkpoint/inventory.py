"""A saved directory, file by file and tensor by tensor. Of pickles nothing is loaded but the tensors of state dicts."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from harness.checkpoint.code_files import code_files
from harness.checkpoint.native import native_files
from harness.checkpoint.pickles import is_pickled
from harness.checkpoint.problems import checkpoint_problems
from harness.checkpoint.roles import roles
from harness.checkpoint.tensors import listed_tensors, weight_files
from harness.refusal import Refused
from harness.trace.json_text import parsed

# peft writes sets into its configuration, in the order of the process's hash seed.
SET_VALUED = ("target_modules", "modules_to_save", "exclude_modules", "layers_to_transform")
# Where a run's own directories would make two equal runs differ.
PATH_VALUED = ("base_model_name_or_path", "_name_or_path", "mm_vision_tower", "mm_vision_tower_aux")
_REWRITTEN = (".json", ".md")
_PIECE = 1 << 20


def inventory(directory: Path) -> dict[str, Any]:
    """Files, tensors, roles, code files and problems of a directory. Needs torch for the fingerprints.

    Files have size and digest, tensors file, dtype, shape and fingerprint. JSON files are digested in canonical form:
    keys and set-valued fields sorted. Of the paths in them, and of the same paths in model cards, only the last name
    counts, and so it does of the directory in its problems.
    """
    if not directory.is_dir():
        raise Refused("no such directory", where=str(directory), do="name a saved directory")
    tensors = listed_tensors(directory)
    listed = {path.name for path in weight_files(directory)} | {facts["file"] for facts in tensors.values()}
    places = _places(directory)
    files = {name: _file_facts(directory / name, name in listed, places) for name in file_names(directory)}
    code = code_files(directory)
    return {
        "files": files,
        "tensors": tensors,
        "roles": roles(directory),
        "code": {"named": list(code.named), "missing": list(code.missing)},
        "problems": problem_lines(directory),
    }


def file_names(directory: Path) -> list[str]:
    """Every file, also those in folders, by its path in the directory."""
    return [path.relative_to(directory).as_posix() for path in sorted(directory.rglob("*")) if path.is_file()]


def problem_lines(directory: Path) -> list[str]:
    """The problems of a directory, in lines that do not depend on where it lies."""
    place = directory.resolve()
    return [line.replace(str(place), place.name) for line in checkpoint_problems(place)]


def fingerprints_by_dtype(directory: Path) -> dict[str, dict[str, str]]:
    """Each key's fingerprint under every dtype it may be loaded in. Needs torch and safetensors."""
    found: dict[str, dict[str, str]] = {}
    for path in weight_files(directory) or native_files(directory):
        found |= part_fingerprints(path)
    return found


def part_fingerprints(path: Path) -> dict[str, dict[str, str]]:
    """The same for one file of weights, whichever of the two formats."""
    import torch

    from harness.checkpoint.overlay import part_tensors
    from harness.trace.fingerprint import as_hex, fingerprint

    dtypes = (torch.float32, torch.bfloat16, torch.float16)
    return {
        key: {str(dtype).split(".")[-1]: as_hex(fingerprint(tensor.to(dtype))) for dtype in dtypes}
        for key, tensor in part_tensors(path).items()
    }


def _places(directory: Path) -> set[str]:
    """The paths that the directory's configurations name."""
    found: list[Any] = []
    for path in directory.glob("*.json"):
        with contextlib.suppress(ValueError, OSError):
            value = parsed(path.read_bytes())
            found += [value.get(name) for name in PATH_VALUED] if isinstance(value, dict) else []
    return {place for place in found if isinstance(place, str) and "/" in place}


def _file_facts(path: Path, listed: bool, places: Collection[str]) -> dict[str, Any]:
    """Size and digest, and whether it is a pickle; no digest where each tensor in it is listed with a fingerprint."""
    facts = {"pickled": True} if is_pickled(path) else {}
    if listed:
        return {"bytes": path.stat().st_size, **facts}
    if path.suffix not in _REWRITTEN:
        return {"bytes": path.stat().st_size, "digest": _digest(path), **facts}
    data = path.read_bytes()
    if path.suffix == ".json":
        data = _canonical_json(data)
    else:
        for place in sorted(places, key=len, reverse=True):
            data = data.replace(place.encode(), Path(place).name.encode())
    return {"bytes": len(data), "digest": hashlib.blake2b(data, digest_size=16).hexdigest(), **facts}


def _digest(path: Path) -> str:
    """The digest of a file of any size: a trainer's own may be larger than memory."""
    found = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            found.update(piece)
    return found.hexdigest()


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
