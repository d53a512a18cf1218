"""The page on reports: its commands run, its files are those that are written, its sections those of the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.conftest import ROOT
from tests.docs.test_readme import each_command_of

PAGE = "docs/reports.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where its commands were run one after the other."""
    place = tmp_path_factory.mktemp("reports")
    assert list(each_command_of(PAGE, place))
    return place


def test_reports_made_again_are_the_same(folder: Path) -> None:
    again = {path.name: path.read_bytes() for path in (folder / "again").iterdir()}

    assert set(again) == {"report.html", "report.md", "junit.xml"}
    assert all((folder / "monday" / name).read_bytes() == data for name, data in again.items())


def test_it_names_the_files_that_are_written() -> None:
    from harness.running.session import FILES

    named = re.findall(r"^\| `([\w.]+)` \|", TEXT, flags=re.MULTILINE)
    assert set(named) == {name for name in FILES if not name.endswith((".json", ".jsonl"))}


def test_its_sections_and_fields_are_those_of_the_page(folder: Path) -> None:
    page = ROOT / "harness" / "report" / "page"
    template = (page / "page.html.jinja").read_text(encoding="utf-8")
    fields = set(re.findall(r'name="(\w+)"', (page / "filters.html.jinja").read_text(encoding="utf-8")))

    assert set(re.findall(r"\*\*(\w+)\*\*", TEXT)) <= set(re.findall(r'"([A-Z]\w+)"', template))
    assert fields == {"recipe", "check", "status", "suite", "failing"}
    assert all(f"`{name}`" in TEXT or f"{name}=" in TEXT for name in fields)
    written = (folder / "monday" / "report.html").read_text(encoding="utf-8")
    assert "What was asked to train, and what moved" in written
    assert written.count("<figcaption>") == 2
