"""Workers that read a dataset share it out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.checks.universal.registry import Absent, universal
from harness.result import Finding

if TYPE_CHECKING:
    from harness.trace.reader import Record, Trace

ALL_OF_IT = "the iterable dataset does not look at get_worker_info: every worker reads all of it"
SAME_NUMBERS = "each draws the same random numbers: a generator is seeded alike in all of them"
OWN_SEED = "seed by torch.initial_seed(), which differs from worker to worker, or not at all"
OWN_PART = "let each worker take its own part: itertools.islice(data, worker.id, None, worker.num_workers)"


class WorkersRepeat(Finding):
    """Workers of one loader that give the same batches each."""


def _workers(trace: Trace) -> Absent | None:
    return None if any(event["batches"] for event in trace.of("workers")) else Absent.NO_WORKERS


@universal(
    "workers of a loader do not repeat each other's samples",
    source="an IterableDataset that ignores get_worker_info; numpy seeded alike in each worker",
    areas=("samples",),
    about=_workers,
)
def workers_share_data(trace: Trace) -> Iterator[Finding]:
    for event in {event["dataset"]: event for event in trace.of("workers") if _repeat(event)}.values():
        shared = event.get("iterable", True)
        yield WorkersRepeat(
            expected=f"each batch of {event['dataset']} once in a pass",
            seen=f"{event['repeated']} of {event['batches']} once more",
            where=f"a loader with {event['workers']} workers",
            cause=ALL_OF_IT if shared else SAME_NUMBERS,
            do=OWN_PART if shared else OWN_SEED,
        )


def _repeat(event: Record) -> bool:
    """Whether each worker gave all of it: of n workers' batches all but one worker's are there once more."""
    workers = int(event["workers"])
    return bool(event["repeated"] * 2 >= event["batches"] * (workers - 1) / workers > 0)
