"""What checks of the data need beyond the samples' announcement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.checks.data_rows import micro_batches
from harness.checks.needs import _DataPromise

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


@dataclass(frozen=True)
class _LabelRows(_DataPromise):
    """Labels were announced, and were seen row by row wherever a loss was computed."""

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        if missing := super().missing(intent, trace):
            return missing
        if "learned" not in trace.of("data")[0]:
            return "the labels were not announced"
        rows = [micro.get("learned") for micro in micro_batches(trace)]
        seen = rows if trace.closed else rows[:-1]  # the last forward of a run that ended may not have met its loss
        return None if all(seen) and any(rows) else "the labels of some micro-batch were not seen row by row"


LabelRows = _LabelRows()
