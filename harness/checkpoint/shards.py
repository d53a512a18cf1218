"""Shards of a model by their names, and the index that says which key is in which."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from harness.checkpoint.json_files import entries
from harness.trace.atomic import write_atomically

INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
"""In the order in which transformers looks for them."""
_SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<of>\d{5})\.(?P<format>safetensors|bin)")
_INDEX = {"safetensors": INDEXES[0], "bin": INDEXES[1]}


def shards_without_index(directory: Path) -> dict[str, list[str]]:
    """By the index that should be there and is not: the shards that nothing else says the keys of."""
    found: dict[str, list[str]] = {}
    for path in sorted(directory.iterdir()):
        shard = _SHARD.fullmatch(path.name)
        if shard and int(shard["of"]) > 1 and not (directory / _INDEX[shard["format"]]).exists():
            found.setdefault(_INDEX[shard["format"]], []).append(path.name)
    return found


def absent_shards(names: Iterable[str]) -> list[str]:
    """The shards that the names of the others say there should be."""
    shards = [shard for name in names if (shard := _SHARD.fullmatch(name))]
    there = {shard[0] for shard in shards}
    wanted = {
        f"{shard['stem']}-{number:05d}-of-{shard['of']}.{shard['format']}"
        for shard in shards
        for number in range(1, int(shard["of"]) + 1)
    }
    return sorted(wanted - there)


def write_index(directory: Path, index: str, keys: Mapping[str, Iterable[str]]) -> None:
    """The index of shards by what they hold themselves. Sizes are not looked at: no loader asks for them."""
    places = {key: shard for shard, held in keys.items() for key in held}
    content = {"metadata": {}, "weight_map": dict(sorted(places.items()))}
    write_atomically(directory / index, json.dumps(content, indent=2) + "\n")


def as_bin(name: str) -> str:
    """The name of a file of weights, or of their index, in the older format."""
    if name == INDEXES[0]:
        return INDEXES[1]
    return f"{name.removesuffix('.safetensors').replace('model', 'pytorch_model', 1)}.bin"


def to_bin(directory: Path) -> None:
    """Write a saved directory's weights anew in the format that they had before safetensors, under its names."""
    import torch
    from safetensors.torch import load_file

    for file in sorted(directory.glob("*.safetensors")):
        torch.save(load_file(file), directory / as_bin(file.name))
        file.unlink()
    if (index := directory / INDEXES[0]).is_file():
        content = entries(index)
        content["weight_map"] = {key: as_bin(shard) for key, shard in content["weight_map"].items()}
        write_atomically(directory / INDEXES[1], json.dumps(content, indent=2) + "\n")
        index.unlink()
