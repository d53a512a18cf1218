"""The evidence of one faultless run, and checks that tests register."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.checks import CHECKS
from tests.judging.evidence import Evidence


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    return Evidence(tmp_path)


@pytest.fixture
def forgotten() -> Iterator[Callable[[str], None]]:
    """Names of checks that a test registers and that are taken out again."""
    names: list[str] = []
    yield names.append
    for name in names:
        CHECKS.forget(name)
