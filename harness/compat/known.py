"""Known failures of a table: entries of known_failures.yaml beside the suite, whose checks begin with `compat.`

- check: compat.keys             # or compat.loads (errors), compat.outputs
  recipe: llava/* saved under 5.*, loaded under 4.*
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence

from harness.compat_table import Cell, Outcome
from harness.result import Result, Status
from harness.verdict import KnownFailure, with_known_failures

CHECKS = {Outcome.ERROR: "compat.loads", Outcome.KEYS_LOST: "compat.keys", Outcome.OUTPUTS_DIFFER: "compat.outputs"}
"""In the order in which they are judged: what does not load has no keys, and of what lost keys outputs say nothing."""


def place_of(cell: Cell) -> str:
    """What stands for the recipe of a known failure."""
    return f"{cell.recipe} saved under {cell.saved_under}, loaded under {cell.loaded_under}"


def results_of(cell: Cell) -> Iterator[Result]:
    """A cell as results: each check up to the one that failed."""
    for outcome, check in CHECKS.items():
        if cell.outcome is Outcome.NOT_APPLICABLE:
            yield Result(place_of(cell), check, Status.NOT_APPLICABLE, cell.reason)
        elif cell.outcome is outcome:
            yield Result(place_of(cell), check, Status.FAILED, cell.error)
            return
        else:
            yield Result(place_of(cell), check, Status.PASSED)


def marked(cell: Cell, known: Sequence[KnownFailure], today: datetime.date) -> Cell:
    """The cell with the status that known failures give it."""
    found = with_known_failures(results_of(cell), known, today)
    for status in (Status.FAILED, Status.FIXED, Status.KNOWN_FAILURE):
        for result in found:
            if result.status is status:
                reason = result.reason if result.reason != cell.error else ""
                return cell.model_copy(update={"status": status, "reason": reason or cell.reason})
    return cell
