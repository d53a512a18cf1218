"""Opening the file of past runs. One that is damaged, or of an older format, is set aside under another name and named;
one that is not ours is left alone."""

from __future__ import annotations

import contextlib
import datetime
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from harness.refusal import Refused

FORMAT = 1  # of the tables
MARK = 0x46544831  # SQLite's application_id of our files
WAIT = 60.0  # seconds that a process waits for another one's transaction
SUFFIXES = (".sqlite", ".sqlite3", ".db")
_HEADER = b"SQLite format 3\0"
_BESIDE = ("-journal", "-wal", "-shm")  # what belongs to a database, and goes where it goes


def open_file(path: Path) -> tuple[sqlite3.Connection, str]:
    """A connection to the file of past runs, made if need be, and where an unreadable one went, or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    why = _why_not(path) if path.exists() and path.stat().st_size else ""
    place = _set_aside(path, why) if why else ""
    return _connected(path), f"{place} ({why})" if place else ""


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """One process at a time looks whether the file is sound: of two, the second is not to set a new one aside."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if os.name == "posix":
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _connected(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=WAIT, isolation_level=None)


def _why_not(path: Path) -> str:
    """Why a file of ours cannot be used; nothing if it can. Raises Refused for a file that is not ours."""
    with path.open("rb") as file:
        is_sqlite = file.read(len(_HEADER)) == _HEADER
    if not is_sqlite and path.suffix not in SUFFIXES:
        raise Refused("is no SQLite file", where=str(path), do="name another file with --history")
    if not is_sqlite:
        return "it is damaged"
    with contextlib.closing(_connected(path)) as connection:
        try:
            number, mark, tables = (connection.execute(one).fetchone()[0] for one in _ASKED)
            sound = connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
                raise
            return "it is damaged"
    if tables and mark != MARK:
        raise Refused("is another program's database", where=str(path), do="name another file with --history")
    if number > FORMAT:
        what = f"has format {number}, and this harness knows {FORMAT}"
        raise Refused(what, where=str(path), do="use the harness that wrote it, or another file with --history")
    if not sound:
        return "it is damaged"
    return f"it has format {number}" if tables and number < FORMAT else ""


_ASKED = ("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_master")


def _set_aside(path: Path, why: str) -> Path:
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H-%M-%S")
    word = "damaged" if "damaged" in why else "older"
    place = path.with_name(f"{path.stem}.{word}-{now}{path.suffix}")
    number = 1
    while place.exists():
        number += 1
        place = path.with_name(f"{path.stem}.{word}-{now}-{number}{path.suffix}")
    for end in _BESIDE:  # first: a journal that is left alone would be played into the next database of this name
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{end}").replace(f"{place}{end}")
    path.replace(place)
    return place
