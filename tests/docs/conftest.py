"""The documents' examples, taken from the documents."""

from __future__ import annotations

import importlib.util
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and its text."""

    language: str
    text: str

    @property
    def name(self) -> str | None:
        """The file that a block says it is, in its first line."""
        found = re.match(r"# (\S+\.(?:yaml|py))\n", self.text)
        return found[1] if found else None


def written_by(script: str) -> Any:
    """The module of a script under docs/, which writes a part of a page."""
    path = ROOT / "docs" / script
    spec = importlib.util.spec_from_file_location(f"docs_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def blocks(document: str) -> list[Block]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return [Block(language, body) for language, body in re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)]


def commands(document: str) -> list[tuple[str, list[str]]]:
    """Each command of the console blocks, with the output that is shown for it."""
    found: list[tuple[str, list[str]]] = []
    for block in blocks(document):
        for line in block.text.splitlines() if block.language == "console" else ():
            if line.startswith("$ "):
                found.append((line[2:].partition("  #")[0].strip(), []))
            elif line.strip():
                found[-1][1].append(line)
    return found


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file that the README shows."""
    folder = tmp_path_factory.mktemp("examples")
    for block in blocks("README.md"):
        if block.name:
            (folder / block.name).write_text(block.text, encoding="utf-8")
    return folder
