"""Two stacks that need no network: what is installed, and a layer of two small packages that break it."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from harness.stacks.below import installed
from tests.stacks.conftest import Shelf, shelf, write_wheel

__all__ = ["shelf"]

SUITE = """
family: minimind-v3
defaults: {size: tiny, steps: 1, trust_remote_code: true, data: {mix: [text]}}
recipes:
  full: {tune: [llm]}
  lora: {lora: {rank: 2, targets: [q_proj, k_proj]}}
"""
HIDDEN = "model.norm.weight"
HIDES = f'''

_open = safe_open


class safe_open:
    """As it was, but that one key is not there."""

    def __init__(self, *arguments, **options):
        self._file = _open(*arguments, **options)

    def keys(self):
        return [key for key in self._file.keys() if key != {HIDDEN!r}]

    def offset_keys(self):
        return [key for key in self._file.offset_keys() if key != {HIDDEN!r}]

    def __enter__(self):
        self._file.__enter__()
        return self

    def __exit__(self, *what):
        return self._file.__exit__(*what)

    def __getattr__(self, name):
        return getattr(self._file, name)
'''


def hiding_safetensors(folder: Path) -> str:
    """The installed safetensors as a package of another version, whose files seem to lack a key; that version."""
    distribution = metadata.distribution("safetensors")
    files = {
        str(file): Path(str(file.locate())).read_bytes()
        for file in distribution.files or ()
        if str(file).startswith("safetensors/") and "__pycache__" not in str(file)
    }
    files["safetensors/__init__.py"] += HIDES.encode()
    write_wheel(folder, "safetensors", "98.0", files)
    return "98.0"


@pytest.fixture
def place(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a suite and two stacks."""
    monkeypatch.setenv("FINETUNE_HARNESS_CACHE", str(shelf.cache))
    folder = shelf.folder.parent
    write_wheel(shelf.folder, "peft", "98.0", {"peft/__init__.py": b"raise ImportError('adapters are out of stock')"})
    (folder / "pair.yaml").write_text(SUITE)
    (folder / "stacks.yaml").write_text(
        f"stacks:\n  here: {{safetensors: {installed()['safetensors']}}}\n"
        f"  there: {{safetensors: '{hiding_safetensors(shelf.folder)}', peft: '98.0'}}\n"
    )
    monkeypatch.chdir(folder)
    return folder
