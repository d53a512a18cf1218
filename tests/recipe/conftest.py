from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.recipe import Suite, read_suite
from harness.refusal import Refused

ReadText = Callable[[str], Suite]
Refusal = Callable[[str], str]


@pytest.fixture
def read(tmp_path: Path) -> ReadText:
    """Reads a suite from its text."""

    def read_text(text: str) -> Suite:
        path = tmp_path / "suite.yaml"
        path.write_text(text, encoding="utf-8")
        return read_suite(path)

    return read_text


@pytest.fixture
def refusal(read: ReadText, tmp_path: Path) -> Refusal:
    """The line with which a text is refused; it names the file, and ends in a remedy."""

    def refuse(text: str) -> str:
        with pytest.raises(Refused) as refused:
            read(text)
        line = str(refused.value)
        assert "\n" not in line
        assert line.startswith(str(tmp_path / "suite.yaml"))
        what, _, remedy = line.partition("; ")
        assert what
        assert remedy
        return line.removeprefix(str(tmp_path / "suite.yaml"))

    return refuse


@pytest.fixture
def refusal_of_recipe(refusal: Refusal) -> Callable[[dict[str, Any]], str]:
    """The line with which one recipe `r` is refused; it names the recipe."""

    def refuse(settings: dict[str, Any]) -> str:
        line = refusal(yaml.safe_dump({"family": "f", "recipes": {"r": settings}}))
        assert line.startswith(": r: ")
        return line.removeprefix(": r: ")

    return refuse
