"""The page on recorded checkpoints: its tables are what is counted from the recorded configurations."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.families.library.published import checkpoints
from harness.stack import release
from tests.docs.conftest import written_by

pytestmark = pytest.mark.skipif(release("transformers") < (5, 20), reason="the newest of them came with 5.20")


@pytest.fixture(scope="module")
def written() -> Any:
    return written_by("published.py")


def test_the_tables_are_of_the_checkpoints_that_are_recorded(written: Any) -> None:
    text = written.PAGE.read_text(encoding="utf-8")
    assert written.page(text, written.kept()) == text
    assert list(written.kept()) == list(checkpoints())


@pytest.mark.parametrize("name", ["google/gemma-3-4b-it", "zai-org/GLM-4.6V", "openbmb/MiniCPM-V-4.6"])
def test_what_is_kept_is_what_is_counted(written: Any, name: str) -> None:
    assert json.loads(json.dumps(written.counted(name))) == written.kept()[name]
