"""Which files hold pickles. Found by looking at bytes; no pickle is loaded here."""

from __future__ import annotations

import pickletools
import zipfile
from pathlib import Path

from harness.checkpoint.roles import PICKLED

_PROTOCOLS = range(2, 6)  # those that begin by saying so
_OPERATIONS = {operation.code for operation in pickletools.opcodes}
_ARCHIVED = "data.pkl"  # torch's own name for the pickle in its archives


def is_pickled(path: Path) -> bool:
    """Whether loading the file would run a pickle: by its ending, or by what it holds under another."""
    return path.suffix in PICKLED or _holds_pickle(path)


def _holds_pickle(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(3)
    if len(head) == 3 and head[0] == 0x80 and head[1] in _PROTOCOLS:
        # The length that a safetensors file begins with may look the same; no operation follows it.
        return chr(head[2]) in _OPERATIONS
    if not head.startswith(b"PK"):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(Path(name).name == _ARCHIVED for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return False
