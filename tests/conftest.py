"""Shared by all tests: the libraries are offline and single-threaded, and worker processes are started once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Code files of model directories are run from here. transformers reads the setting once, and a process that has run
# code from one place runs none from another.
_MODULES = tempfile.TemporaryDirectory(prefix="harness-tests-modules-")
os.environ["HF_MODULES_CACHE"] = _MODULES.name
os.environ.update(
    FINETUNE_HARNESS_HISTORY="off", HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false"
)

ROOT = Path(__file__).parent.parent
SUITES = tuple(
    sorted(
        set((ROOT / "suites").glob("*.yaml")) - {ROOT / "suites" / "known_failures.yaml"}, key=lambda path: path.stem
    )
)


@pytest.fixture(scope="session")
def warm(shipped: dict[str, Any]) -> Iterator[object]:
    """The two warm parents, shared by every test of this process that trains."""
    from harness.running.session import WarmParents

    parents = WarmParents(sorted({recipe.family for recipe in shipped.values()}))
    yield parents.sockets
    parents.stop()


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Base directories, written once."""
    return tmp_path_factory.mktemp("bases")


@pytest.fixture(scope="session")
def shipped() -> dict[str, Any]:
    """Every shipped recipe by its full id."""
    from harness.recipe import read_suite

    suites = [read_suite(path) for path in SUITES]
    return {f"{suite.name}/{name}": recipe for suite in suites for name, recipe in suite.recipes.items()}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file comes first: with --dist loadfile one worker has it whole, and should not begin with it last."""
    items.sort(key=lambda item: item.path.name != "test_faults.py")
