"""What is said of a fault is what was read and found good: `python -m tests.judging.wording` records it anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.judging.specimens import SPECIMENS
from tests.judging.wording import RECORDED, words_of

WORDS = json.loads(RECORDED.read_text(encoding="utf-8"))
CASES = [(check, f"{kind}: {what}", alter) for check, rows in SPECIMENS.items() for kind, what, alter in rows]


def test_every_specimen_has_its_words() -> None:
    assert {(check, name) for check, name, _ in CASES} == {(check, name) for check in WORDS for name in WORDS[check]}


@pytest.mark.parametrize(("check", "name", "alter"), CASES, ids=[f"{check}-{name}" for check, name, _ in CASES])
def test_a_finding_says_what_was_recorded(check: str, name: str, alter: Any, tmp_path: Path) -> None:
    assert words_of(check, alter, tmp_path) == WORDS[check][name]
