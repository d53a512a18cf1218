"""`harness tiny` and `harness data`: a checkpoint directory to train from, and samples to train on."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from harness.refusal import Refused


def tiny(
    family: Annotated[str, typer.Argument(help="a family, see harness list families", show_default=False)],
    directory: Annotated[Path, typer.Argument(help="a new or empty directory", show_default=False)],
    trust: Annotated[bool, typer.Option("--trust-remote-code", help="run code that comes with a directory")] = False,
) -> int:
    """Write a complete tiny checkpoint directory that any trainer loads by path."""
    from harness.families import family as family_named
    from harness.families.possible import refuse_code

    chosen = family_named(family)
    refuse_code(chosen, trust)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    with _written_whole(directory) as partial:
        chosen.write_base(partial)
    print(f"{directory}: {chosen.name}, tiny")
    return 0


class Format(str, Enum):
    llava = "llava"
    minicpm_v = "minicpm-v"
    messages = "messages"
    minimind = "minimind"
    llama_factory = "llama-factory"


class Kind(str, Enum):
    image = "image"
    text = "text"
    several = "several"
    blank = "blank"


def data(
    form: Annotated[Format, typer.Argument(metavar="FORMAT", help="who is to read them", show_default=False)],
    directory: Annotated[Path, typer.Argument(help="a new or empty directory", show_default=False)],
    kind: Annotated[list[Kind] | None, typer.Option(help="of this kind; may be repeated; none: of every kind")] = None,
    samples: Annotated[int | None, typer.Option(help="so many; they go round; none: each once", min=1)] = None,
) -> int:
    """Write a few samples, and their pictures, in a format that a trainer reads."""
    from harness.data.written import write_samples

    with _written_whole(directory) as partial:
        count = write_samples(form.value, partial, [one.value for one in kind or []], samples)
    print(f"{directory}: {count} samples, {form.value}")
    return 0


@contextlib.contextmanager
def _written_whole(directory: Path) -> Iterator[Path]:
    """A folder to write into, which takes the directory's name when it is whole. Raises Refused for one in use."""
    from harness.running.disk import disk_errors

    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise Refused("is not an empty directory", where=str(directory), do="name a new one")
    with disk_errors(directory):
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory.parent, prefix=f".{directory.name}.") as folder:
            partial = Path(folder) / "whole"
            partial.mkdir()
            yield partial
            if directory.exists():
                directory.rmdir()
            partial.rename(directory)
