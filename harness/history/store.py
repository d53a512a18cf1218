"""The SQLite file that past runs are kept in. One transaction a run: a reader sees all of it or nothing.

Several processes may add runs at once: each waits for the other. https://www.sqlite.org/lockingv3.html
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.history.aside import FORMAT, MARK, alone, open_file
from harness.history.past import Numbers, PastRecipe, PastRun
from harness.refusal import Refused

if TYPE_CHECKING:
    from typing_extensions import Self

_TABLES = """
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY, ended TEXT NOT NULL, version TEXT NOT NULL, git_commit TEXT, environment TEXT NOT NULL,
    selection TEXT NOT NULL, interrupted INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS recipes (
    run INTEGER NOT NULL REFERENCES runs (id), recipe TEXT NOT NULL, seconds REAL, statuses TEXT NOT NULL,
    loud TEXT NOT NULL, settings TEXT NOT NULL, weights TEXT NOT NULL, losses TEXT NOT NULL,
    PRIMARY KEY (run, recipe)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_recipe ON recipes (recipe, run);
"""


class History:
    """Past runs in a file. `aside` names where a file went that could not be read; empty where there was none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _told(path), alone(path):
            self._connection, self.aside = open_file(path)
            self._make()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def add(self, run: PastRun, version: str) -> None:
        """Keep a run: all of it, or, where that cannot be done, nothing. Raises Refused then."""
        recipes = [(one.recipe, one.seconds, *map(json.dumps, _columns(one))) for one in run.recipes]
        facts = (run.ended, version, run.commit, json.dumps(run.environment), run.selection, run.interrupted)
        with _told(self.path), self._change() as change:
            number = change.execute(
                "INSERT INTO runs (ended, version, git_commit, environment, selection, interrupted)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                facts,
            ).lastrowid
            change.executemany(
                "INSERT INTO recipes (run, recipe, seconds, statuses, loud, settings, weights, losses)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [(number, *row) for row in recipes],
            )

    def count(self) -> int:
        """How many runs there are."""
        with _told(self.path):
            return int(self._connection.execute("SELECT count(*) FROM runs").fetchone()[0])

    def runs(self, last: int) -> list[PastRun]:
        """The last runs, oldest first."""
        with _told(self.path):
            rows = self._connection.execute(
                "SELECT id, ended, git_commit, environment, selection, interrupted FROM runs ORDER BY id DESC LIMIT ?",
                (last,),
            ).fetchall()
            return [self._run(row) for row in reversed(rows)]

    def _run(self, row: tuple[Any, ...]) -> PastRun:
        number, ended, commit, environment, selection, interrupted = row
        recipes = self._connection.execute(
            "SELECT recipe, seconds, statuses, loud, settings, weights, losses FROM recipes WHERE run = ?"
            " ORDER BY recipe",
            (number,),
        )
        made = tuple(_recipe(one) for one in recipes)
        return PastRun(ended, commit, json.loads(environment), selection, bool(interrupted), made)

    def _make(self) -> None:
        with self._change() as change:
            for statement in filter(str.strip, _TABLES.split(";")):
                change.execute(statement)
            change.execute(f"PRAGMA user_version = {FORMAT}")
            change.execute(f"PRAGMA application_id = {MARK}")

    @contextlib.contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """One transaction, which begins by waiting for those of others."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            self._connection.rollback()
            raise
        self._connection.commit()


def _columns(one: PastRecipe) -> tuple[object, ...]:
    return one.statuses, one.loud, one.numbers.recipe, one.numbers.weights, one.numbers.losses


def _recipe(row: tuple[Any, ...]) -> PastRecipe:
    recipe, seconds, *texts = row
    statuses, loud, settings, weights, losses = map(json.loads, texts)
    numbers = Numbers(settings, weights, tuple(losses))
    return PastRecipe(recipe, statuses, tuple((check, status) for check, status in loud), seconds, numbers)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """What SQLite and the file system cannot do, in one line."""
    try:
        yield
    except (sqlite3.Error, OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise Refused(f"cannot be used: {why}", where=str(path), do="name another file with --history") from None
