"""Gives a saved directory what it lacks and its base has, as far as that changes no weights."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.checkpoint.code_files import code_files, needed_code
from harness.checkpoint.json_files import CONFIG, entries
from harness.checkpoint.missing import PREPROCESSING, kind_of
from harness.checkpoint.problems import keys_of
from harness.checkpoint.roles import CODE, GENERATION, SPECIAL_TOKENS, TOKENIZER, TOKENIZER_CONFIGURATION, roles
from harness.checkpoint.shards import absent_shards, shards_without_index, write_index
from harness.checkpoint.staging import copy_into, finish, new_directory
from harness.refusal import Refused


@dataclass(frozen=True)
class Repaired:
    """What was taken from the base, and which indexes were written, in which directory."""

    directory: Path
    copied: list[str]
    written: list[str]


def can_be_repaired(directory: Path, base: Path | None) -> bool:
    """Whether there is anything to copy or to write."""
    indexes = shards_without_index(directory).values()
    lacking = base is not None and bool(_planned(directory, base))
    return lacking or any(not absent_shards(shards) for shards in indexes)


def repaired_copy(directory: Path, base: Path | None, place: Path) -> Repaired:
    """A completed copy at a place where there is nothing yet: whole, or not there. Raises Refused."""
    planned = _planned(directory, base) if base else []
    with new_directory(place) as unfinished:
        copy_into(directory, unfinished)
        for name in planned:
            _copy((base or directory) / name, unfinished / name)
        written = repair_index(unfinished)
        finish(unfinished)
    return Repaired(place, planned, written)


def repaired_in_place(directory: Path, base: Path | None) -> Repaired:
    """The directory itself, each file that is added whole or not there."""
    written = repair_index(directory)
    return Repaired(directory, repair(directory, base) if base else [], written)


_OF_THE_TOKENIZER = (TOKENIZER, TOKENIZER_CONFIGURATION, SPECIAL_TOKENS)


def repair(directory: Path, base: Path) -> list[str]:
    """Copy from the base what the directory lacks of tokenizer, processor, generation configuration and code.

    Nothing that is there is written over. A role that the base plays by an entry in a file which the directory has
    too, without the entry, is left as it is: `obstacle` says so. Returns the names copied, in order.
    """
    return [name for name in _planned(directory, base) if _copy(base / name, directory / name)]


def _planned(directory: Path, base: Path) -> list[str]:
    """What to copy: the files of roles that are missing, and the code that they and the directory's own call for."""
    files = _lacking(directory, base)
    code = needed_code(base, files, code_files(directory).missing)
    return sorted({*files, *(name for name in code if not os.path.lexists(directory / name))})


def repair_index(directory: Path) -> list[str]:
    """Write the index of shards that have none, from what each of them holds. Returns the names written."""
    written = []
    for index, shards in shards_without_index(directory).items() if directory.is_dir() else ():
        if not absent_shards(shards):
            write_index(directory, index, {shard: keys_of(directory / shard) for shard in shards})
            written.append(index)
    return written


def obstacle(role: str, directory: Path, base: Path) -> str:
    """Why a role that the base plays is not for `repair` to supply; empty where it is."""
    if role == CODE:
        return "" if code_files(directory).missing else f"take auto_map over from {base / CONFIG} by hand"
    if role not in (*PREPROCESSING, GENERATION):
        return "save the model again"
    files = roles(base).get(role, [])
    if there := next((name for name in files if os.path.lexists(directory / name)), None):
        return f"{there} is there without it: take the entry over from {base / there} by hand"
    if role in _OF_THE_TOKENIZER and (differing := _vocabularies(directory, base)):
        return f"save the tokenizer of the run itself: it has {differing[0]} tokens, the base {differing[1]}"
    return ""


def _lacking(directory: Path, base: Path) -> list[str]:
    """The base's files of every role that the directory lacks and that can be copied."""
    have, could = roles(directory), roles(base)
    # A generation configuration belongs to a whole model: nobody reads it beside an adapter.
    of_the_model = (GENERATION,) if kind_of(have) == "full" else ()
    wanted = [role for role in (*of_the_model, *PREPROCESSING) if role in could and role not in have]
    names = {name for role in wanted for name in could[role]}
    if _vocabularies(directory, base):
        names -= {name for role in _OF_THE_TOKENIZER for name in could.get(role, ())}
    return sorted(names)


def _vocabularies(directory: Path, base: Path) -> tuple[str, str] | None:
    """The sizes of vocabulary that the two configurations name, where they differ: tokens were added to the model."""
    own, others = (", ".join(map(str, sorted(set(_sizes(entries(place / CONFIG)))))) for place in (directory, base))
    return (own, others) if own and others and own != others else None


def _sizes(content: Any) -> Iterator[int]:
    for name, value in content.items():
        if isinstance(value, dict):
            yield from _sizes(value)
        elif name == "vocab_size" and isinstance(value, int):
            yield value


def _copy(source: Path, target: Path) -> bool:
    """Copy a file whole or not at all, where there is none yet."""
    if os.path.lexists(target):
        return False
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, partial)
        partial.replace(target)
    except OSError as error:
        raise Refused(
            f"cannot be written: {error.strerror}", where=str(target), do="free space, or copy it by hand"
        ) from None
    finally:
        partial.unlink(missing_ok=True)
    return True
