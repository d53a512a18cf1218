"""`harness tiny` and `harness inspect`: checkpoint directories."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.shown import AsJson, print_columns, print_json
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


def inspect(
    checkpoint: Annotated[Path, typer.Argument(help="a saved directory", show_default=False)],
    as_json: AsJson = False,
) -> int:
    """Read a saved directory without loading it: files, tensors, and what is wrong with it."""
    from harness.checkpoint.problems import checkpoint_problems
    from harness.checkpoint.tensors import weight_files
    from harness.trace.arrays import read_header

    problems = list(checkpoint_problems(checkpoint))
    if problems:
        raise Refused("; ".join(problems))
    headers = {path.name: read_header(path) for path in weight_files(checkpoint)}
    tensors = {
        key: {"file": name, "dtype": entry["dtype"], "shape": entry["shape"]}
        for name, header in headers.items()
        for key, entry in header.items()
        if key != "__metadata__"
    }
    if as_json:
        print_json({"files": sorted(path.name for path in checkpoint.iterdir()), "tensors": tensors})
        return 0
    print_columns([[key, str(facts["shape"]), facts["dtype"], facts["file"]] for key, facts in sorted(tensors.items())])
    print(f"{len(tensors)} tensors in {len(headers)} files")
    return 0
