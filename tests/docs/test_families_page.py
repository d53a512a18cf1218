"""The page on the library's types: its table is what was measured, of the types and versions that there are."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from harness.families.library import tried_types
from harness.families.library.listing import reason_refused
from harness.result import Reason
from harness.stacks import read_stacks
from tests.docs.conftest import ROOT, written_by

REASONS = {one.value for one in Reason}
FEWEST = 25  # checks that apply to a type, over its recipes


@pytest.fixture(scope="module")
def written() -> Any:
    return written_by("families.py")


def test_the_table_is_what_was_measured(written: Any) -> None:
    text = written.PAGE.read_text(encoding="utf-8")
    assert written.page(text, written.kept()) == text


def test_the_tables_of_other_releases_are_what_was_measured_under_each() -> None:
    stacks = written_by("families_stacks.py")
    text = stacks.PAGE.read_text(encoding="utf-8")
    found = stacks.kept()
    assert stacks.page(text, found) == text
    assert list(found) == sorted(found) == sorted(one.name for one in read_stacks(stacks.STACKS))
    for one in found.values():
        assert set(one["types"]) == set(stacks.TYPES)
        assert all(any(entry.get(came) for came in ("passed", "lacking", "error")) for entry in one["types"].values())


def test_it_was_measured_with_the_pinned_release_and_none_of_its_types_is_missing(written: Any) -> None:
    pinned = re.search(r"^transformers==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert pinned is not None
    kept = written.kept()
    assert kept["versions"]["transformers"] == pinned[1]
    from harness import stack

    if stack.versions().get("transformers") == pinned[1]:
        assert set(kept["types"]) == set(tried_types())


def test_what_is_refused_is_said_so_and_what_is_measured_has_enough_checks(written: Any) -> None:
    for name, entry in written.kept()["types"].items():
        if "recipes" in entry:
            assert set(entry["recipes"]) <= set(written.MODES), name
            assert max(one["applied"] for one in entry["recipes"].values()) >= FEWEST, name
            assert {why for one in entry["recipes"].values() for why in one.get("not", ())} <= REASONS, name
        if "refused" in entry:
            assert entry["refused"] == reason_refused(name)


def test_a_type_that_fails_is_named_with_what_fails(written: Any) -> None:
    entry = json.loads('{"recipes": {"lora": {"applied": 50, "failed": {"adapter_merges": "off"}}}}')
    assert written.state_of(entry) == "lora: adapter_merges"
    assert written.state_of({"recipes": {"lora": {"applied": 50, "failed": {}}}}) == "passed"
    assert written.state_of({}) == "not measured"
