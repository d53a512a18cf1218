"""Which goldens there are: a folder of archives, and the one file that says which of them count.

Whatever interrupts a change, the folder holds the old goldens or the new: archives have names of their own content, and
are there before the one file that names them is replaced. What an interruption leaves beside them is listed beforehand.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from harness.frozen import Frozen
from harness.places import folder_name
from harness.refusal import Refused
from harness.trace.atomic import write_atomically

INDEX = "goldens.json"
STACKS = "stacks"  # the folder of those of other stacks, in the folder of goldens
UNDER_WAY = ".pinning.json"  # archives that a change under way brings or takes away
SUFFIX = ".tar.xz"
MOST_BYTES = 20_000_000  # of the whole folder
FORMAT = 1


class Entry(Frozen):
    """One golden: its archive, and of its provenance what people ask for first."""

    file: str
    bytes: int
    sha256: str
    suite: str
    saves: str
    pinned: str
    commit: str | None
    dirty: bool
    torch: str
    transformers: str
    cpu_capability: str
    threads: int


class Goldens(Frozen):
    """An index: which goldens count, and of those of another stack the versions of the libraries in force."""

    format: int
    goldens: dict[str, Entry]
    stack: dict[str, str] | None = None


@dataclass(frozen=True)
class Pinned:
    """A golden that is to be kept: its entry and its archive."""

    entry: Entry
    archive: bytes


def file_of(recipe_id: str, archive: bytes) -> tuple[str, str]:
    """The name of an archive, and its digest: another content has another name."""
    digest = hashlib.sha256(archive).hexdigest()
    return f"{folder_name(recipe_id)}.{digest[:12]}{SUFFIX}", digest


def read_index(folder: Path) -> dict[str, Entry]:
    """The goldens of a folder by recipe. Raises Refused where there are none, or their index is damaged."""
    return read_goldens(folder).goldens


def read_goldens(folder: Path) -> Goldens:
    """The whole index of a folder, with the same refusals."""
    path = folder / INDEX
    try:
        index = Goldens.model_validate_json(path.read_bytes())
    except OSError as error:
        what = "holds no goldens" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise Refused(what, where=str(folder), do="pin some with harness golden pin, or name the folder") from None
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"]))
        raise Refused(f"is damaged: {at}: {first['msg']}", where=str(path), do="take it from version control") from None
    if index.format != FORMAT:
        raise Refused(f"has format {index.format}, not {FORMAT}", where=str(path), do="use the harness that wrote it")
    if wrong := next((one.file for one in index.goldens.values() if Path(one.file).name != one.file), None):
        raise Refused(f"names a file elsewhere: {wrong!r}", where=str(path), do="take it from version control")
    return index


def has_goldens(folder: Path) -> bool:
    return (folder / INDEX).exists()


def is_whole(folder: Path, entry: Entry) -> bool:
    """Whether an archive is what was pinned."""
    with contextlib.suppress(OSError):
        return hashlib.sha256((folder / entry.file).read_bytes()).hexdigest() == entry.sha256
    return False


def strays(folder: Path, entries: Collection[Entry]) -> tuple[list[str], list[str]]:
    """Archives that belong to no golden: those that nobody knows, and those that an interrupted change has left."""
    named = {entry.file for entry in entries}
    found = sorted(path.name for path in folder.glob(f"*{SUFFIX}") if path.name not in named and path.name[0] != ".")
    left = _under_way(folder)
    return [name for name in found if name not in left], [name for name in found if name in left]


def top_of(folder: Path) -> Path:
    """The folder of goldens that a folder of another stack's lies in; any other is that itself."""
    return folder.parent.parent if folder.parent.name == STACKS else folder


def change(
    folder: Path, pinned: Mapping[str, Pinned], gone: Collection[str] = (), stack: Mapping[str, str] | None = None
) -> dict[str, Entry]:
    """Replace goldens, all of them or none, and take out those of the recipes `gone`.

    `stack` are the libraries that they were made under, where those are not the ones that one works under: goldens
    of other versions go, for a folder is of one stack.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        index = read_goldens(folder) if has_goldens(folder) else Goldens(format=FORMAT, goldens={})
        before, same = index.goldens, (index.stack or {}) == (stack or {})
        kept = {name: entry for name, entry in before.items() if same and name not in gone}
        after = dict(sorted({**kept, **{name: one.entry for name, one in pinned.items()}}.items()))
        _refuse_too_large(folder, after)
        named = {entry.file for entry in after.values()}
        passing = {entry.file for entry in (*before.values(), *after.values())} | set(_under_way(folder))
        write_atomically(folder / UNDER_WAY, json.dumps(sorted(passing)) + "\n")
        for one in pinned.values():
            _write(folder / one.entry.file, one.archive)
        index = Goldens(format=FORMAT, goldens=after, stack=dict(stack) if stack else None)
        write_atomically(folder / INDEX, index.model_dump_json(indent=1, exclude=None if stack else {"stack"}) + "\n")
        for name in sorted(passing - named):
            (folder / name).unlink(missing_ok=True)
        _sweep(folder)
    return after


def _under_way(folder: Path) -> list[str]:
    try:
        names = json.loads((folder / UNDER_WAY).read_bytes())
    except (OSError, ValueError):
        return []
    archives = isinstance(names, list) and all(isinstance(name, str) and name.endswith(SUFFIX) for name in names)
    return [name for name in names if Path(name).name == name] if archives else []


def _refuse_too_large(folder: Path, after: Mapping[str, Entry]) -> None:
    everything = (path for path in top_of(folder).rglob("*") if path.is_file())
    others = [path for path in everything if path.parent != folder or not path.name.endswith(SUFFIX)]
    total = sum(path.stat().st_size for path in others) + sum(entry.bytes for entry in after.values())
    if total > MOST_BYTES:
        what = f"would come to {total / 1e6:.1f} MB, and is to stay under {MOST_BYTES / 1e6:.0f} MB"
        raise Refused(what, where=str(top_of(folder)), do="pin fewer recipes; those that save little are adapters")


def _write(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Take away what a killed process was writing, and last the word that something is under way."""
    for pattern in (f".*{SUFFIX}.*", f".{INDEX}.*", f".{UNDER_WAY}.*"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)
    (folder / UNDER_WAY).unlink(missing_ok=True)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time: of two that change the same goldens none is to lose what it has pinned."""
    handle = os.open(folder, os.O_RDONLY) if os.name == "posix" else None
    try:
        if handle is not None:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        if handle is not None:
            os.close(handle)
