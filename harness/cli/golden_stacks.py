"""`harness golden stacks`: pin goldens under the libraries of other years, each stack in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.golden import FOLDER, Golden

if TYPE_CHECKING:
    from harness.stacks import AskedStack

_COMMAND = (sys.executable, "-c", "from harness.cli.main import main; main()", "golden", "pin")


def stacks(
    suites: Annotated[list[Path], typer.Argument(help="suite files", show_default=False)],
    stacks: Annotated[Path, typer.Option("--stacks", help="the file of stacks", show_default=False)],
    stack: Annotated[list[str] | None, typer.Option("--stack", help="only this stack of the file, by name")] = None,
    recipe: Annotated[list[str] | None, typer.Option("--recipe", help="only this recipe, by id")] = None,
    golden: Golden = FOLDER,
    dirty: Annotated[bool, typer.Option("--dirty", help="even where the suite's tree is not as committed")] = False,
) -> int:
    """Pin recipes under other libraries, into a folder of each stack below that of the goldens."""
    from harness import stack as here
    from harness.golden.index import STACKS
    from harness.stacks import Layers, read_stacks

    status = 0
    for one in _chosen(read_stacks(stacks), stack or [], stacks):
        layered = Layers(say=lambda line: print(line, flush=True)).one(one)
        if all(here.versions().get(name) == version for name, version in layered.versions.items()):
            print(f"stack {one.name} is the one that the harness runs under: its goldens are in {golden}", flush=True)
            continue
        arguments = [*map(str, suites), *(word for name in recipe or [] for word in ("--recipe", name))]
        arguments += ["--golden", str(golden / STACKS / one.name), *(["--dirty"] if dirty else [])]
        environment = {**os.environ, **layered.environment}
        status |= subprocess.run([*_COMMAND, *arguments], env=environment, check=False).returncode
    return status


def _chosen(stacks: Sequence[AskedStack], names: list[str], file: Path) -> list[AskedStack]:
    from harness.golden.asking import no_such

    known = [one.name for one in stacks]
    if unknown := [name for name in names if name not in known]:
        raise no_such(unknown[0], known, str(file), "stack")
    return [one for one in stacks if not names or one.name in names]
