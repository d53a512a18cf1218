"""Runs under DeepSpeed: these tests need it, and `nox -s engines` installs it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.recipe import Recipe, read_suite
from harness.running.session import Sockets, WarmParents, needed_of
from harness.stack import has
from harness.verdict import KNOWN_FAILURES

SUITES = Path(__file__).parents[2] / "suites" / "deepspeed"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if has("deepspeed"):
        return
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.skip(reason="deepspeed is not installed: nox -s engines has it"))


@pytest.fixture(scope="session")
def recipes() -> dict[str, Recipe]:
    """The recipes of the suites under DeepSpeed, by id."""
    suites = [read_suite(path) for path in sorted(SUITES.glob("*.yaml")) if path.name != KNOWN_FAILURES]
    return {f"{suite.name}/{name}": recipe for suite in suites for name, recipe in suite.recipes.items()}


@pytest.fixture(scope="session")
def warm(recipes: dict[str, Recipe]) -> Iterator[Sockets]:
    parents = WarmParents(*needed_of(recipes.values()))
    yield parents.sockets
    parents.stop()


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bases")
