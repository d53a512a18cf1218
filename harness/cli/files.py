"""`harness tiny`: a checkpoint directory to train from."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from harness.refusal import Refused


def tiny(
    family: Annotated[str, typer.Argument(help="a family, see harness list families", show_default=False)],
    directory: Annotated[Path, typer.Argument(help="a new or empty directory", show_default=False)],
) -> int:
    """Write a complete tiny checkpoint directory that any trainer loads by path."""
    from harness.disk import disk_errors
    from harness.families import family as family_named

    chosen = family_named(family)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise Refused("is not an empty directory", where=str(directory), do="name a new one")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    with disk_errors(directory):
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory.parent, prefix=f".{directory.name}.") as folder:
            partial = Path(folder) / "checkpoint"
            partial.mkdir()
            chosen.write_base(partial)
            if directory.exists():
                directory.rmdir()
            partial.rename(directory)
    print(f"{directory}: {chosen.name}, tiny")
    return 0
