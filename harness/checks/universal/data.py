"""Workers that read a dataset share it out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.checks.universal.registry import Absent, universal
from harness.result import Finding

if TYPE_CHECKING:
    from harness.trace.reader import Trace


class WorkersRepeat(Finding):
    """Workers of one loader that give the same batches each."""


def _workers(trace: Trace) -> Absent | None:
    return None if any(event["batches"] for event in trace.of("workers")) else Absent.NO_WORKERS


@universal(
    "workers of a loader do not repeat each other's samples",
    source="an IterableDataset that ignores get_worker_info: each worker reads all of it",
    areas=("samples",),
    about=_workers,
)
def workers_share_data(trace: Trace) -> Iterator[Finding]:
    for event in trace.of("workers"):
        # Each worker gives all of it: of n workers' batches all but one worker's are there once more.
        if event["repeated"] * 2 >= event["batches"] * (event["workers"] - 1) / event["workers"] > 0:
            yield WorkersRepeat(
                expected=f"each batch of {event['dataset']} once in a pass",
                seen=f"{event['repeated']} of {event['batches']} once more",
                where=f"a loader with {event['workers']} workers",
                cause="the iterable dataset does not look at get_worker_info: every worker reads all of it",
                do="let each worker take its own part: itertools.islice(data, worker.id, None, worker.num_workers)",
            )
