"""The file of past runs: what goes in comes out, whoever else writes; what cannot be read is set aside and named."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from harness.history.aside import FORMAT, MARK
from harness.history.store import History
from harness.refusal import Refused
from tests.history.conftest import past_recipe, past_run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "history.sqlite"


def with_a_run(file: Path) -> Path:
    with History(file) as kept:
        kept.add(past_run(), "1.0")
    return file


def test_a_run_comes_back_as_it_went_in(file: Path) -> None:
    runs = [past_run(1), past_run(2, commit=None, selection="quick", interrupted=True, recipes=())]
    with History(file) as kept:
        assert kept.aside == ""
        for run in runs:
            kept.add(run, "1.0")
    with History(file) as kept:
        assert kept.runs(10) == runs
        assert kept.runs(1) == runs[1:]
        assert kept.count() == 2


def test_a_recipe_that_left_nothing_comes_back_too(file: Path) -> None:
    run = past_run(recipes=(past_recipe(seconds=None, statuses={}, loud=()),))
    with History(file) as kept:
        kept.add(run, "1.0")
        assert kept.runs(1) == [run]


WRITER = """
import sys
from pathlib import Path
from harness.history.store import History
from tests.history.conftest import past_run
for number in range(int(sys.argv[2])):
    with History(Path(sys.argv[1])) as kept:
        assert kept.aside == "", kept.aside
        kept.add(past_run(number, of=20), sys.argv[3])
"""


def test_processes_that_write_at_once_lose_no_run(file: Path) -> None:
    root = Path(__file__).parent.parent.parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(file), "12", f"v{one}"], env=environment)
        for one in range(4)
    ]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0, 0]
    with History(file) as kept:
        assert kept.count() == 48
        assert all(len(run.recipes) == 20 for run in kept.runs(100))
    with closing(sqlite3.connect(file)) as connection:
        by_writer = connection.execute("SELECT version, count(*) FROM runs GROUP BY version").fetchall()
    assert by_writer == [(f"v{one}", 12) for one in range(4)]


def asides(file: Path) -> list[str]:
    return sorted(path.name for path in file.parent.iterdir() if path.name not in (file.name, f".{file.name}.lock"))


def test_a_damaged_file_is_set_aside_and_named(file: Path) -> None:
    whole = with_a_run(file).read_bytes()
    damaged = whole[:4096] + bytes(4096) + whole[8192:]
    file.write_bytes(damaged)
    with History(file) as kept:
        (name,) = asides(file)
        assert name.startswith("history.damaged-")
        assert str(file.parent / name) in kept.aside
        assert "it is damaged" in kept.aside
        assert kept.count() == 0
        kept.add(past_run(), "1.0")
    assert (file.parent / name).read_bytes() == damaged
    with History(file) as kept:
        assert (kept.aside, kept.count()) == ("", 1)


@pytest.mark.parametrize("content", [b"no database at all", b"SQLite format 3\0 and then nothing of the kind"])
def test_what_is_no_database_is_set_aside_where_one_should_be(file: Path, content: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    with History(file) as kept:
        assert kept.aside
    assert [(file.parent / name).read_bytes() for name in asides(file)] == [content]


def test_two_files_set_aside_in_the_same_second_are_both_kept(file: Path) -> None:
    file.parent.mkdir()
    for content in (b"first", b"second", b"third"):
        file.write_bytes(content)
        with History(file) as kept:
            assert kept.aside
    assert sorted((file.parent / name).read_bytes() for name in asides(file)) == [b"first", b"second", b"third"]


def set_pragma(file: Path, name: str, value: int) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA {name} = {value}")
        connection.commit()


def test_an_older_file_is_set_aside_and_named(file: Path) -> None:
    set_pragma(with_a_run(file), "user_version", FORMAT - 1)
    with History(file) as kept:
        (name,) = asides(file)
        assert name.startswith("history.older-")
        assert f"{file.parent / name} (it has format {FORMAT - 1})" == kept.aside
        assert kept.count() == 0


def test_a_newer_file_is_refused_and_left_alone(file: Path) -> None:
    set_pragma(with_a_run(file), "user_version", FORMAT + 1)
    before = file.read_bytes()
    with pytest.raises(Refused, match=f"has format {FORMAT + 1}, and this harness knows {FORMAT}"):
        History(file)
    assert (file.read_bytes(), asides(file)) == (before, [])


def test_the_database_of_another_program_is_refused_and_left_alone(file: Path) -> None:
    set_pragma(with_a_run(file), "application_id", MARK + 1)
    before = file.read_bytes()
    with pytest.raises(Refused, match="another program's database"):
        History(file)
    assert (file.read_bytes(), asides(file)) == (before, [])


def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("mine")
    with pytest.raises(Refused, match="is no SQLite file"):
        History(notes)
    assert notes.read_text() == "mine"


def test_an_empty_file_is_a_new_one(file: Path) -> None:
    file.parent.mkdir()
    file.touch()
    with History(file) as kept:
        assert (kept.aside, kept.count()) == ("", 0)


def test_a_place_that_cannot_be_written_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="cannot be used"):
        History(tmp_path / "file" / "history.sqlite")
