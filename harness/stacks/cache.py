"""Where layers are kept from one run to the next, and who may write there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.refusal import Refused

VARIABLE = "FINETUNE_HARNESS_CACHE"
NAME = "finetune-harness"


def cache_folder() -> Path:
    """The folder that the environment names, or that of this program among the user's caches."""
    if named := os.environ.get(VARIABLE):
        return Path(named).absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / NAME
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / NAME / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / NAME


def digest_of(value: Any) -> str:
    """A name for plain data: another for other data."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:20]


@contextlib.contextmanager
def alone(cache: Path, name: str) -> Iterator[None]:
    """One process and one thread at a time for what has this name in the cache."""
    try:
        folder = cache / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / f"{name}.lock").open("w")
    except OSError as error:
        do = f"name another folder by {VARIABLE}"
        raise Refused(f"cannot be written: {error.strerror}", where=str(cache), do=do) from None
    with handle:
        with contextlib.suppress(ImportError):
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
