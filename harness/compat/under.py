"""The process that saves under a stack: the harness itself, with the stack's layer on PYTHONPATH.

python -m harness.compat.under ASKED.json
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from pathlib import Path
from typing import Any

from harness.compat.saving import Wanted, save_here
from harness.own_code import let_in
from harness.recipe import Recipe
from harness.trace.atomic import write_atomically

PR_SET_PDEATHSIG = 1


def main(file: Path) -> None:
    """Save what a file asks for, and write what became of it into another."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored where a shell has started us beside itself
    _end_with_parent()
    asked: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    for folder in asked["folders"]:
        let_in(Path(folder))
    wanted = [
        Wanted(one["recipe_id"], Recipe.model_validate(one["recipe"]), Path(one["suite"])) for one in asked["wanted"]
    ]
    told = [one.told for one in save_here(asked["stack"], Path(asked["out"]), wanted)]
    write_atomically(Path(asked["told"]), json.dumps(told) + "\n")


def _end_with_parent() -> None:
    """Be interrupted when whoever waits for this is killed."""
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
