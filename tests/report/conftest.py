"""A real run for reports to draw: the trace of a shipped golden, taken out of its archive."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.golden.archive import unpacked, write_files
from harness.golden.index import read_index
from harness.places import folder_name

GOLDENS = Path(__file__).parents[2] / "golden"
RECIPE = "llava/lora-qv[fp32]"


@pytest.fixture(scope="session")
def golden_trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trace of the golden, as a directory."""
    folder = tmp_path_factory.mktemp("golden")
    write_files(unpacked(GOLDENS / read_index(GOLDENS)[RECIPE].file), folder)
    return folder / "trace"


@pytest.fixture
def run_folder(golden_trace: Path, tmp_path: Path) -> Path:
    """A folder of results whose one recipe has this trace."""
    shutil.copytree(golden_trace, tmp_path / "out" / "runs" / folder_name(RECIPE) / "trace")
    return tmp_path / "out"


@pytest.fixture
def trace(run_folder: Path) -> Path:
    """The trace in that folder, for tests that change it."""
    return run_folder / "runs" / folder_name(RECIPE) / "trace"


def edit(trace: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the records of a trace, each in place; those for which the change returns False are taken out."""
    stream = trace / "rank-0" / "events.jsonl"
    records = [json.loads(line) for line in stream.read_text().splitlines()]
    kept = [record for record in records if change(record) is not False]
    stream.write_text("".join(json.dumps(record) + "\n" for record in kept))
