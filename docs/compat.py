"""Writes the table of docs/compat.md from what `harness compat` has measured, which is kept in docs/compat.json.

python docs/compat.py [COMPAT.json]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from harness.compat.told import cell_text
from harness.compat_table import CompatTable
from harness.result import Status

HERE = Path(__file__).parent
PAGE, DATA = HERE / "compat.md", HERE / "compat.json"
BEGIN, END = "<!-- written by docs/compat.py -->\n", "<!-- end -->\n"


def table_of(table: CompatTable) -> Iterator[str]:
    """The stacks, a table for each recipe, and what is known of what fails."""
    asked = ["; ".join(f"{name} {version}" for name, version in stack.asked.items()) for stack in table.stacks]
    yield "| stack | versions |"
    yield "| --- | --- |"
    yield from (f"| {stack.name} | {versions} |" for stack, versions in zip(table.stacks, asked, strict=True))
    for recipe in table.recipes:
        yield ""
        yield f"`{recipe}`"
        yield ""
        yield f"| saved under | {' | '.join(f'loaded under {stack.name}' for stack in table.stacks)} |"
        yield f"| --- {'| --- ' * len(table.stacks)}|"
        for stack, cells in table.rows(recipe):
            yield f"| {stack.name} | {' | '.join(map(cell_text, cells))} |"
    reasons = dict.fromkeys(cell.reason for cell in table.cells if cell.status is Status.KNOWN_FAILURE)
    yield ""
    counts = ", ".join(f"{count} {outcome.words}" for outcome, count in table.counts.items())
    failing = len(table.bad)
    yield f"{len(table.cells)} cells: {counts}; {failing} of them are not known failures. The known ones:"
    yield ""
    yield from (f"- {reason}" for reason in reasons)


def page(text: str, table: CompatTable) -> str:
    """The page with its table written anew."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "\n" + "\n".join(table_of(table)) + "\n\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        CompatTable.read(Path(sys.argv[1])).write(DATA)
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), CompatTable.read(DATA)), encoding="utf-8")
