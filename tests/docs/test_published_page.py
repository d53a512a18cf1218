"""The page on recorded checkpoints: its tables are what is counted from the recorded configurations."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from harness.families.library.published import checkpoints
from harness.stack import release

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(release("transformers") < (5, 20), reason="the newest of them came with 5.20")


@pytest.fixture(scope="module")
def written() -> Any:
    spec = importlib.util.spec_from_file_location("published_page", ROOT / "docs" / "published.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_of_the_checkpoints_that_are_recorded(written: Any) -> None:
    text = written.PAGE.read_text(encoding="utf-8")
    assert written.page(text, written.kept()) == text
    assert list(written.kept()) == list(checkpoints())


@pytest.mark.parametrize("name", ["google/gemma-3-4b-it", "zai-org/GLM-4.6V", "openbmb/MiniCPM-V-4.6"])
def test_what_is_kept_is_what_is_counted(written: Any, name: str) -> None:
    assert json.loads(json.dumps(written.counted(name))) == written.kept()[name]
