"""What is wrong with a saved directory, as far as its files show it without being loaded."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from enum import Enum
from pathlib import Path

from harness.checkpoint.code_files import code_files
from harness.checkpoint.files import TRAINED
from harness.checkpoint.json_files import ADAPTER_CONFIG, CONFIG, damaged_json
from harness.checkpoint.native import native_files, native_tensors
from harness.checkpoint.shards import INDEXES, absent_shards, shards_without_index
from harness.checkpoint.tensors import files_with_weights, weight_files
from harness.refusal import Refused
from harness.trace.arrays import read_header, tensors_of
from harness.trace.json_text import parsed
from harness.wording import listed

_STATE_DICTS = (".pth", ".pt", ".ckpt")  # of training loops that write no configuration; .bin is transformers' own
_AGAIN = "save the model again"
_SHOWN = 3

Held = dict[str, set[str]]


def checkpoint_problems(directory: Path) -> Iterator[str]:
    """What is wrong with a saved directory, a line each: its files, and the code that they name."""
    yield from unreadable(directory)
    if directory.is_dir():
        yield from map(str, code_files(directory).problems)


def unreadable(directory: Path) -> Iterator[str]:
    """What keeps a directory from being read as a checkpoint at all, a line each."""
    if not directory.is_dir():
        yield str(Refused("no such directory", where=str(directory), do="name a saved directory"))
        return
    damaged = 0
    for about, problem in file_problems(directory):
        damaged += about is About.WEIGHTS
        if about is not About.WEIGHTS or damaged <= _SHOWN:
            yield str(problem)
        elif damaged == _SHOWN + 1:
            more = sum(1 for other, _ in file_problems(directory) if other is About.WEIGHTS) - _SHOWN
            yield str(_problem(directory, f"{more} more files are damaged"))


class About(Enum):
    """What a problem of a directory is about."""

    NOTHING = "there is no checkpoint"
    WEIGHTS = "a file of weights cannot be read"
    JSON = "a JSON file cannot be read"
    TWICE = "a tensor is in two files"
    INDEX = "the index and the shards disagree"


def file_problems(directory: Path) -> Iterator[tuple[About, Refused]]:
    """What is wrong with the files of a directory, one by one."""
    held, damaged = _keys_by_file(directory)
    if not any((directory / name).is_file() for name in (CONFIG, ADAPTER_CONFIG)) and not _stands_alone(
        {*held, *(Path(problem.where).name for problem in damaged)}
    ):
        what = f"no configuration ({CONFIG} or {ADAPTER_CONFIG})"
        yield About.NOTHING, _problem(directory, what, "save it with save_pretrained")
    yield from ((About.JSON, problem) for problem in damaged_json(directory))
    yield from ((About.WEIGHTS, problem) for problem in damaged)
    if not held and not damaged:
        yield About.NOTHING, _problem(directory, "no weights (no .safetensors file, and no state dict of torch)")
    yield from ((About.TWICE, problem) for problem in _held_twice(directory, held))
    if not damaged:
        yield from ((About.INDEX, problem) for problem in _without_index(directory))
    for index in INDEXES:
        yield from ((About.INDEX, problem) for problem in _of_index(directory, index, held))


def promised(directory: Path) -> dict[str, str] | None:
    """Each key that an index says is there, and the shard it should be in; None without an index."""
    index = next((directory / name for name in INDEXES if (directory / name).exists()), None)
    return None if index is None else _weight_map(index)


def _weight_map(index: Path) -> dict[str, str]:
    try:
        weight_map = parsed(index.read_bytes())["weight_map"]
        if all(isinstance(shard, str) for shard in weight_map.values()):
            return dict(weight_map)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    raise Refused("is damaged: no weight_map from keys to files", where=str(index), do=_AGAIN)


def keys_of(path: Path) -> set[str]:
    """The keys in a file of weights, whichever of the two formats. Raises Refused for a damaged file."""
    return set(tensors_of(read_header(path))) if path.suffix == ".safetensors" else set(native_tensors(path))


def _stands_alone(held: Collection[str]) -> bool:
    """Whether these are weights that come without a configuration: to be laid over a base, or of a native loop."""
    return bool(held) and all(file == TRAINED or file.endswith(_STATE_DICTS) for file in held)


def _keys_by_file(directory: Path) -> tuple[Held, list[Refused]]:
    """The keys of every file that can be read, and why the others cannot."""
    held: Held = {}
    damaged = []
    for path in files_with_weights(directory):
        try:
            held[path.name] = keys_of(path)
        except Refused as problem:
            damaged.append(problem)
    return held, damaged


def _held_twice(directory: Path, held: Held) -> Iterator[Refused]:
    """Files of an earlier save that were left behind: which of the two is loaded differs from library to library."""
    seen: set[str] = set()
    for file, keys in held.items():
        if again := keys & seen:
            yield _problem(
                directory, f"{file} holds {listed(sorted(again))}, and so does another file", "remove the older file"
            )
        seen |= keys


def _without_index(directory: Path) -> Iterator[Refused]:
    """Shards that no index names: from_pretrained finds none of them."""
    do = "write it from the shards' own keys: harness inspect DIRECTORY --repair"
    for index, shards in shards_without_index(directory).items():
        if absent := absent_shards(shards):
            yield _problem(directory, f"{listed(sorted(absent))} missing, by the names of the other shards")
        else:
            yield _problem(directory, f"{len(shards)} shards and no index ({index}): from_pretrained finds none", do)


def _of_index(directory: Path, index: str, held: Held) -> Iterator[Refused]:
    if not (directory / index).exists():
        return
    try:
        places = _weight_map(directory / index)
    except Refused as problem:
        yield problem
        return
    there = {path.name for path in (*weight_files(directory), *native_files(directory))}
    if absent := set(places.values()) - there:
        of_another = bool(there) and not there & set(places.values())
        beside = f", but {listed(sorted(there))}: {index} is of another save" if of_another else ""
        do = f"remove {index}" if of_another else _AGAIN
        yield _problem(directory, f"the index names {listed(sorted(absent))}, and there is no such file{beside}", do)
    missing = {key for key, file in places.items() if file in held and key not in held[file]}
    elsewhere = missing & set().union(*held.values())
    if lost := missing - elsewhere:
        yield _problem(directory, f"the index promises {listed(sorted(lost))}, and no shard holds {_it(lost)}")
    if elsewhere:
        yield _problem(
            directory, f"the index looks for {listed(sorted(elsewhere))} in another shard than holds {_it(elsewhere)}"
        )


def _problem(where: Path, what: str, do: str = _AGAIN) -> Refused:
    return Refused(what, where=str(where), do=do)


def _it(names: Collection[str]) -> str:
    return "it" if len(names) == 1 else "them"
