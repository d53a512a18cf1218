"""Several processes of one training: equal weights, averaged gradients, and data of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.checks.replicas import gradients_averaged, processes_step_together, replicas_equal
from harness.checks.universal.registry import NOBODYS, Absent, universal
from harness.result import Finding

if TYPE_CHECKING:
    from harness.trace.reader import Record, Trace

COMMON = 0.5  # of the names of parameters in the process that has fewer


class SameData(Finding):
    """Processes that were given the same batches, one and all."""


class Strangers(Finding):
    """Processes of one launch that never met."""


def _replicas(trace: Trace) -> Absent | None:
    """A pipeline's stages have hardly a parameter's name in common."""
    if not trace.others:
        return Absent.ONE_PROCESS
    names = [{parameter.path for parameter in rank.parameters} for rank in trace.ranks]
    alike = all(len(names[0] & one) >= COMMON * min(len(names[0]), len(one)) for one in names)
    return None if alike else Absent.NO_REPLICAS


def _own_data(trace: Trace) -> Absent | None:
    if not trace.others:
        return Absent.ONE_PROCESS
    split = any(model.get("split") for rank in trace.ranks for model in rank.of("model"))
    return Absent.SAME_LAYERS if split else None


@universal(
    "processes of one launch meet, step together, and keep the same weights",
    source="replicas that drift apart: what is saved is one of several models",
    areas=("parameters", "gradients"),
    about=_replicas,
    covers="replicas_equal",
)
def replicas_agree(trace: Trace) -> Iterator[Finding]:
    alone = [rank for rank in trace.ranks if max([1, *(int(e["world"]) for e in rank.of("process_group"))]) == 1]
    if alone:
        yield Strangers(
            expected=f"a group of {len(trace.ranks)} processes",
            seen=f"{len(alone)} of them by themselves",
            where=f"process {alone[0].rank}",
            cause="the script makes no process group: each process trains a model of its own",
            do="init_process_group and DistributedDataParallel, or start one process",
        )
        return
    if not any(rank.of("join") for rank in trace.ranks):
        yield from processes_step_together(NOBODYS, trace)
    if not all(_meet(trace, other) for other in trace.others):
        yield from gradients_averaged(NOBODYS, trace)
        yield from replicas_equal(NOBODYS, trace)


def _meet(trace: Trace, other: Trace) -> bool:
    """Whether two processes that had parted began a later step with the same weights: they average them now and then,
    in the place of gradients."""
    begun, theirs = _begun(trace), _begun(other)
    steps = [(one, its) for one, its in zip(trace.steps, other.steps, strict=False) if one["values"] and its["values"]]
    for step, began in begun.items():
        if began == theirs.get(step) and any(one["step"] < step and _apart(one, its, began) for one, its in steps):
            return True
    return False


def _begun(trace: Trace) -> dict[int, Record]:
    return {event["step"]: event["begins"] for event in trace.gradients("optimizer") if "begins" in event}


def _apart(one: Record, other: Record, of: Record) -> bool:
    """Whether a parameter has other values in two processes after a step."""
    columns = [step["values"].get(of["model"]) for step in (one, other)]
    return None not in columns and len({column["fingerprint"][of["index"]] for column in columns if column}) > 1


def _inputs(trace: Trace) -> list[str]:
    return [event["inputs"] for event in trace.of("forward") if event["training"] and event.get("inputs")]


@universal(
    "each process is given data of its own",
    source="a loader without a DistributedSampler: every process trains on the same batches",
    areas=("forwards",),
    about=_own_data,
)
def processes_see_their_own_data(trace: Trace) -> Iterator[Finding]:
    first = _inputs(trace)
    for other in trace.others:
        theirs = _inputs(other)
        if first and first == theirs:
            yield SameData(
                expected="other batches than in process 0",
                seen=f"the same {len(first)}, in the same order",
                where=f"process {other.rank}",
                cause="the loader does not share the data out among the processes",
                do="give the loader a DistributedSampler, or split the dataset by rank",
            )
