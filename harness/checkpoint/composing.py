"""A directory put together: one component's tensors from a tuned save, everything else from a base.

The base's shards are copied one by one, and the bytes of what was tuned are written over theirs, piece by piece: no
tensor is ever whole in memory, nor is a shard that would not fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from harness.checkpoint.inspecting.case import by
from harness.checkpoint.inspecting.directory import Directory, canonical
from harness.checkpoint.staging import copy_file, copy_into, finish, new_directory
from harness.checkpoint.tensors import weight_files
from harness.refusal import Refused
from harness.trace.arrays import read_header, tensors_of
from harness.wording import count, listed

COMPONENTS = ("vision", "connector", "language")
_CONNECTOR = re.compile(
    r"(?:^|\.)(?:multi_modal_projector|mm_projector|resampler|vision_proj|connector|merger|vlm_uni_\w+)\."
)
_VISION = re.compile(
    r"(?:^|\.)(?:vision_tower|vision_tower_aux|vision_model|vision_encoder|visual|vpm|image_encoder)\."
)
_PIECE = 1 << 24
_SAME = "compose a base and a save of one model, in one precision"


@dataclass(frozen=True)
class Composed:
    """Where it lies, and which tensors came from where."""

    directory: Path
    component: str
    taken: tuple[str, ...]
    """From the tuned save, under the base's names."""
    kept: tuple[str, ...]
    """From the base."""


def component_of(key: str) -> str:
    """The component of a tensor, by what systems call it."""
    if _CONNECTOR.search(key):
        return "connector"
    return "vision" if _VISION.search(key) else "language"


def compose(base: Path, tuned: Path, component: str, place: Path) -> Composed:
    """The base with a component from a tuned save, at a place where there is nothing yet. Raises Refused."""
    own, other = Directory(base), Directory(tuned)
    pairs = _pairs(own, other, component)
    with new_directory(place) as unfinished:
        for file in weight_files(base):
            copy_file(file, unfinished / file.name)
            _write_over(unfinished / file.name, tuned, other, pairs)
        _others(base, unfinished)
        finish(unfinished)
    return Composed(place, component, tuple(sorted(pairs)), tuple(sorted(own.tensors.keys() - pairs.keys())))


def _others(base: Path, target: Path) -> None:
    """Everything but the weights."""
    weights = {file.name for file in weight_files(base)}
    copy_into(base, target, without=weights)


def _pairs(own: Directory, other: Directory, component: str) -> dict[str, str]:
    """The base's key of each tensor that is taken, and the tuned save's. Raises Refused for what does not match."""
    for place in (own, other):
        for problem in place.damaged.values():
            raise problem
    if not weight_files(own.path):
        raise Refused("holds no safetensors files", where=str(own.path), do="save the base anew with safetensors")
    names = own.by_canonical or {key: key for key in own.tensors}
    meant = [key for key in other.tensors if component_of(key) == component]
    if not meant:
        does = listed(sorted({component_of(key) for key in other.tensors})) or "nothing"
        raise Refused(f"holds no tensors of {component}, but of {does}", where=str(other.path), do="name another save")
    pairs = {names[canonical(key)]: key for key in meant if canonical(key) in names}
    if strangers := [key for key in meant if canonical(key) not in names]:
        what = f"{count(len(strangers), 'tensor')} of {component} that {own.path} does not have"
        raise Refused(f"{what}: {listed(sorted(strangers))}", where=str(other.path), do=_SAME)
    for key, theirs in pairs.items():
        one, two = own.tensors[key], other.tensors[theirs]
        if list(one["shape"]) != list(two["shape"]):
            what = f"{theirs} is {by(two['shape'])}, and {by(one['shape'])} in {own.path}"
            raise Refused(what, where=str(other.path), do=_SAME)
        if one["dtype"] != two["dtype"]:
            what = f"{theirs} is in {two['dtype']}, and in {one['dtype']} in {own.path}"
            raise Refused(what, where=str(other.path), do=_SAME)
    return pairs


def _write_over(shard: Path, tuned: Path, other: Directory, pairs: dict[str, str]) -> None:
    places = _places(shard)
    native: dict[Path, Any] = {}  # loaded once; torch maps what lies in it
    with shard.open("r+b") as written:
        for key, (start, size) in places.items():
            if key in pairs:
                written.seek(start)
                for piece in _bytes(tuned / other.tensors[pairs[key]]["file"], pairs[key], size, native):
                    written.write(piece)


def _places(path: Path) -> dict[str, tuple[int, int]]:
    """Where in a safetensors file each tensor begins, and how long it is."""
    with path.open("rb") as file:
        begin = 8 + int.from_bytes(file.read(8), "little")
    return {
        key: (begin + entry["data_offsets"][0], entry["data_offsets"][1] - entry["data_offsets"][0])
        for key, entry in tensors_of(read_header(path)).items()
    }


def _bytes(path: Path, key: str, size: int, native: dict[Path, Any]) -> Iterator[Any]:
    if path.suffix != ".safetensors":
        from harness.checkpoint.native import native_tensors

        if path not in native:
            native[path] = native_tensors(path)
        tensor = native[path][key]
        if size:
            import torch

            yield memoryview(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())
        return
    start, length = _places(path)[key]
    with path.open("rb") as file:
        yield from _pieces(file, start, length)


def _pieces(file: BinaryIO, start: int, length: int) -> Iterator[bytes]:
    file.seek(start)
    while length > 0:
        piece = file.read(min(_PIECE, length))
        length -= len(piece)
        yield piece
        if not piece:
            return
