"""The page on released bugs: its table is what was seen of what is asked for now, and as it should be."""

from __future__ import annotations

import pytest

from library_bugs.asked import read_bugs
from library_bugs.table import as_it_should_be, read_table
from tests.docs.conftest import ROOT, written_by

PAGE = (ROOT / "docs" / "library_bugs.md").read_text(encoding="utf-8")
ROWS = read_table(ROOT / "docs" / "library_bugs.json")["bugs"]


def test_the_table_on_the_page_is_what_was_seen() -> None:
    module = written_by("library_bugs.py")

    assert module.page(PAGE) == PAGE, "run `python docs/library_bugs.py`"


@pytest.mark.parametrize("name", ROWS)
def test_every_version_was_run_and_came_out_right(name: str) -> None:
    bug, runs = read_bugs().bugs[name], ROWS[name]["runs"]
    wanted = [(dict(versions), True) for versions in bug.broken] + [(dict(versions), False) for versions in bug.good]
    seeds = bug.hash_seeds or (None,)

    assert [(run["versions"], run["broken"], run["hash_seed"]) for run in runs] == [
        (*one, seed) for one in wanted for seed in seeds
    ]
    assert as_it_should_be(runs)
    assert min(run["applied"] for run in runs) >= (2 if bug.saved_under else 15)
    for run in runs:
        assert run["verdict"].startswith("caught: ") == bool(set(run["failed"]) & set(bug.caught_by))
