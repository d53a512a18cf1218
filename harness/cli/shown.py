"""How commands print: JSON for programs, aligned columns for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=1))


def print_columns(rows: Sequence[Sequence[str]], gap: int = 2) -> None:
    """Rows in columns as wide as their widest cell; the last column is as long as it is."""
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(len(rows[0]) - 1)] if rows else []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print((" " * gap).join([*cells, row[-1]]).rstrip())


def colour() -> bool:
    """Whether standard output is a terminal that wants colour."""
    import os

    return sys.stdout.isatty() and "NO_COLOR" not in os.environ
