"""What the file system refuses, in one line."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from harness.refusal import Refused

FULL_DISK = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT))
LEAST_FREE_BYTES = 2**16  # with less, a process may have failed for lack of room without being able to say so


def refuse_full_disk(directory: Path, said: str) -> None:
    """Refuse to go on where a process failed for lack of room: that is no failure of its recipe."""
    no_room = next((reason for reason in FULL_DISK if reason in said), "")
    if not no_room and shutil.disk_usage(directory).free < LEAST_FREE_BYTES:
        no_room = FULL_DISK[0]
    if no_room:
        raise Refused(f"cannot write: {no_room}", where=str(directory), do="free space or choose another --out")


@contextlib.contextmanager
def disk_errors(directory: Path) -> Iterator[None]:
    """Turn an error of the file system into one line."""
    try:
        yield
    except OSError as error:
        where = error.filename or directory
        raise Refused(
            f"cannot write: {error.strerror}", where=str(where), do="free space or choose another --out"
        ) from None
