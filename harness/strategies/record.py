"""What a search has tried, as a file: for one that goes on from there, and for the page that says what was searched."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from harness.refusal import Refused
from harness.strategies.each import Table
from harness.trace.atomic import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from harness.strategies.drawing import Drawing
    from harness.strategies.each import Asked as Each
    from harness.strategies.search import Asked, Done

FILE = "searched.json"


def keep_table(asked: Each, table: Table, out: Path) -> None:
    """Write what became of each fault in each family."""
    _write({**_of(asked.drawing, asked.seed), "faults": table.rows}, out)


def keep_counts(asked: Asked, done: Done, out: Path) -> None:
    """Write how many recipes of each property were tried, and in how many batches one broke it."""
    found = dict.fromkeys(asked.turns, 0)
    for which, batch in done.batches:
        found[which] += batch.found is not None
    counts = {which: {"tried": done.tried_of(which), "found": number} for which, number in found.items()}
    _write({**_of(asked.drawing, asked.seed), "recipes": counts}, out)


def table_of(asked: Each, out: Path) -> Table:
    """The table that an earlier search of the same has left; an empty one, where there is none. Raises Refused for what
    another search has left."""
    file = out / FILE
    if not file.exists():
        return Table()
    with suppress(ValueError):
        record = json.loads(file.read_text(encoding="utf-8"))
        if "faults" in record and _way(record) == _way(_of(asked.drawing, asked.seed)):
            return Table(record["faults"])
    raise Refused("another search has left this", where=str(file), do="name another directory with --out")


def _of(drawing: Drawing, seed: int) -> dict[str, Any]:
    return {
        "date": time.strftime("%Y-%m-%d"),
        "engines": list(drawing.engines),
        "processes": list(drawing.processes),
        "launchers": list(drawing.launchers),
        "seed": seed,
    }


def _way(record: dict[str, Any]) -> list[Any]:
    return [record.get(name) for name in ("engines", "processes", "launchers", "seed")]


def _write(record: dict[str, Any], out: Path) -> None:
    write_atomically(out / FILE, json.dumps(record, indent=1) + "\n")
