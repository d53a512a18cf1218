"""`harness compare`: where two recorded runs part ways."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.shown import AsJson, print_columns, print_json

Differing = Annotated[
    list[str] | None,
    typer.Option("--may-differ", help="a setting of the recipes, by dotted name, in which they are meant to differ"),
]


def compare(
    one: Annotated[Path, typer.Argument(help="a trace directory", show_default=False)],
    other: Annotated[Path, typer.Argument(help="another", show_default=False)],
    bits: Annotated[bool, typer.Option("--bits", help="bit for bit, whatever the environments are")] = False,
    may_differ: Differing = None,
    as_json: AsJson = False,
) -> int:
    """Compare two traces: bit for bit where their environments are the same, else as far as other kernels may lead."""
    from harness.comparator import BITWISE
    from harness.face import compare as compared
    from harness.report import divergence_lines, divergence_table, origins

    found = compared(one, other, BITWISE if bits else None, may_differ or ())
    if as_json:
        print_json(found.to_json())
        return int(not found.verdict.agrees)
    print("\n".join(divergence_lines(found)))
    if table := divergence_table(found):
        print()
        print_columns(table)
    for origin in origins(found):
        print(f"\nallowed: {origin}")
    return int(not found.verdict.agrees)
