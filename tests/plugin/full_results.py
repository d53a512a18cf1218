"""A pytest plugin for sessions under test: the device that is always full lies where the results will be written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness import pytest_session
from harness.store import ResultsFile


class OnAFullDisk(ResultsFile):
    """In the place of `harness.store.ResultsFile`."""

    def __init__(self, path: Path) -> None:
        path.symlink_to("/dev/full")
        super().__init__(path)


def pytest_configure(config: Any) -> None:
    pytest_session.ResultsFile = OnAFullDisk  # type: ignore[attr-defined,misc]
