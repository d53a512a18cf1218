"""Directories that are whole or not there: made beside their place under a hidden name, then renamed.

A kill at any moment leaves what was there as it was, and at most a hidden folder without configurations, which the next
one takes away. Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from harness.refusal import Refused

_LAST = ("config.json", "adapter_config.json")
"""Without these a folder looks like no checkpoint to anybody: they are written when all else is there."""
_UNFINISHED = ".unfinished"
_FICLONE = 0x40049409  # of Linux: share the blocks of a file until one of the two is changed


@contextlib.contextmanager
def new_directory(place: Path) -> Iterator[Path]:
    """A folder to fill, which is at its place once the block has ended without an exception. Raises Refused."""
    place = place.absolute()
    if os.path.lexists(place):
        raise Refused("there is something already", where=str(place), do="name another place with --out, or remove it")
    _take_away_unfinished(place)
    unfinished = place.with_name(f".{place.name}.{os.getpid()}{_UNFINISHED}")
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        unfinished.rename(place)
    except OSError as error:
        what = f"cannot be written: {error.strerror}"
        raise Refused(what, where=str(place), do="free space, or name another place with --out") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _take_away_unfinished(place: Path) -> None:
    """What earlier ones have left that were killed; not what another process is at."""
    for left in place.parent.glob(f".{place.name}.*{_UNFINISHED}") if place.parent.is_dir() else ():
        number = left.name.removesuffix(_UNFINISHED).rpartition(".")[2]
        if number.isdigit() and not _runs(int(number)):
            shutil.rmtree(left, ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def copy_into(source: Path, target: Path, without: Collection[str] = ()) -> None:
    """Every file of a directory, links as what they lead to; configurations by hidden names until `finish`."""
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        if path.is_file() and not path.name.endswith(_UNFINISHED) and str(name) not in without:
            place = target / (name.with_name(_hidden(name.name)) if str(name) in _LAST else name)
            place.parent.mkdir(parents=True, exist_ok=True)
            copy_file(path, place)


def finish(directory: Path) -> None:
    """Give the configurations their names."""
    for name in _LAST:
        if (directory / _hidden(name)).exists():
            (directory / _hidden(name)).rename(directory / name)


def _hidden(name: str) -> str:
    return f".{name}{_UNFINISHED}"


def copy_file(source: Path, target: Path) -> None:
    """Copy a file; where the file system can, its blocks are shared until one of the two changes."""
    if sys.platform == "linux":
        import fcntl

        with source.open("rb") as read, target.open("wb") as written, contextlib.suppress(OSError):
            fcntl.ioctl(written.fileno(), _FICLONE, read.fileno())
            return
    shutil.copyfile(source, target)
