"""Becomes a command inside a layer: `python inside.py LAYER COMMAND...`. Standard library alone.

What is on PYTHONPATH already stays before the layer, so that a recorder that came in that way comes along.
"""

from __future__ import annotations

import os
import sys


def main(layer: str, command: list[str]) -> None:
    before = [os.environ[name] for name in ("PYTHONPATH",) if os.environ.get(name)]
    if layer:
        os.environ["PYTHONPATH"] = os.pathsep.join([*before, layer])
        os.environ["PATH"] = os.pathsep.join([os.path.join(layer, "bin"), os.environ["PATH"]])  # noqa: PTH118
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
