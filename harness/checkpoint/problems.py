"""What is wrong with a saved directory, as far as its files show it without being loaded."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from harness.checkpoint.inventory import weight_files
from harness.refusal import Refused
from harness.trace.arrays import read_header, tensors_of
from harness.trace.json_text import parsed

CONFIGURATIONS = ("config.json", "adapter_config.json")
INDEX = "model.safetensors.index.json"
_AGAIN = "save the model again"
_SHOWN = 3

Held = dict[str, set[str]]


def checkpoint_problems(directory: Path) -> Iterator[str]:
    """What is wrong with a saved directory, a line each: configuration, weights, and what its index promises."""
    if not directory.is_dir():
        yield str(Refused("no such directory", where=str(directory), do="name a saved directory"))
        return
    yield from _of_configuration(directory)
    held, damaged = _keys_by_file(directory)
    for problem in damaged[:_SHOWN]:
        yield str(problem)
    if (more := len(damaged) - _SHOWN) > 0:
        yield _line(directory, f"{more} more files are damaged")
    if not held and not damaged:
        yield _line(directory, "no weights (no .safetensors file)")
    yield from _held_twice(directory, held)
    yield from _of_index(directory, held)


def promised(directory: Path) -> dict[str, str] | None:
    """Each key that an index says is there, and the shard it should be in; None without an index."""
    index = directory / INDEX
    if not index.exists():
        return None
    try:
        weight_map = parsed(index.read_bytes())["weight_map"]
        if all(isinstance(shard, str) for shard in weight_map.values()):
            return dict(weight_map)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    raise Refused("is damaged: no weight_map from keys to files", where=str(index), do=_AGAIN)


def _of_configuration(directory: Path) -> Iterator[str]:
    found = [directory / name for name in CONFIGURATIONS if (directory / name).is_file()]
    if not found:
        yield _line(directory, f"no configuration ({' or '.join(CONFIGURATIONS)})", "save it with save_pretrained")
    for path in found:
        try:
            value = parsed(path.read_bytes())
        except (OSError, ValueError):
            value = None
        if not isinstance(value, dict):
            yield _line(path, "is damaged: it is no JSON object")


def _keys_by_file(directory: Path) -> tuple[Held, list[Refused]]:
    """The keys of every file that can be read, and why the others cannot."""
    held: Held = {}
    damaged = []
    for path in weight_files(directory):
        try:
            held[path.name] = set(tensors_of(read_header(path)))
        except Refused as problem:
            damaged.append(problem)
    return held, damaged


def _held_twice(directory: Path, held: Held) -> Iterator[str]:
    """Files of an earlier save that were left behind: which of the two is loaded differs from library to library."""
    seen: set[str] = set()
    for file, keys in held.items():
        if again := keys & seen:
            yield _line(directory, f"{file} holds {_some(again)}, and so does another file", "remove the older file")
        seen |= keys


def _of_index(directory: Path, held: Held) -> Iterator[str]:
    try:
        places = promised(directory) or {}
    except Refused as problem:
        yield str(problem)
        return
    there = {path.name for path in weight_files(directory)}
    if absent := set(places.values()) - there:
        yield _line(directory, f"the index names {_some(absent)}, and there is no such file")
    missing = {key for key, file in places.items() if file in held and key not in held[file]}
    elsewhere = missing & set().union(*held.values())
    if lost := missing - elsewhere:
        yield _line(directory, f"the index promises {_some(lost)}, and no shard holds {_it(lost)}")
    if elsewhere:
        yield _line(directory, f"the index looks for {_some(elsewhere)} in another shard than holds {_it(elsewhere)}")


def _line(where: Path, what: str, do: str = _AGAIN) -> str:
    return str(Refused(what, where=str(where), do=do))


def _some(names: Collection[str]) -> str:
    shown = ", ".join(sorted(names)[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


def _it(names: Collection[str]) -> str:
    return "it" if len(names) == 1 else "them"
