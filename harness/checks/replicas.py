"""Several processes are one training: as many as were asked for, with the same gradients, steps and weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from harness.checks.needs import Parameters, SeveralProcesses, Steps
from harness.checks.registry import check
from harness.result import Finding
from harness.wording import count, listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.parameter import Parameter
    from harness.trace.reader import Record, Trace


class OtherWorld(Finding):
    """Fewer or more processes met than the recipe asks for."""


class StepsApart(Finding):
    """Processes that took other steps than the first."""


class GradientsApart(Finding):
    """Gradients that differ between processes at the optimizer: they were not averaged."""


class ReplicasApart(Finding):
    """Weights that differ between processes after a step."""


@check(
    "as many processes met as were asked for",
    source="accelerate launch --cpu --num_processes 2 ran as two separate trainings, or as one, without a word",
    needs=[SeveralProcesses, Steps(1)],
)
def processes_as_asked(intent: Intent, trace: Trace) -> Iterator[Finding]:
    if len(trace.ranks) != intent.processes:
        yield OtherWorld(
            expected=f"{intent.processes} processes",
            seen="1 process" if len(trace.ranks) == 1 else f"{len(trace.ranks)} processes",
            where="the streams of the trace",
            cause="the launcher started fewer than it was asked for, or one ended before it could say anything",
        )
    for one in trace.ranks:
        world = max([1, *(int(event["world"]) for event in one.of("process_group"))])
        if world != intent.processes:
            yield OtherWorld(
                expected=f"a group of {intent.processes} processes",
                seen=f"a group of {world}" if one.of("process_group") else "no process group was made",
                where=f"process {one.rank}",
                cause="the launcher did not say which of how many processes it is: each trains by itself",
                do="see that RANK and WORLD_SIZE reach the script, or use torchrun",
            )


@check(
    "every process takes the same steps",
    source="an uneven last batch: one process steps once more, and the others wait for it or are left behind",
    needs=[SeveralProcesses, Steps(1)],
)
def processes_step_together(intent: Intent, trace: Trace) -> Iterator[Finding]:
    first = _steps(trace)
    for other in trace.others:
        if (theirs := _steps(other)) != first:
            yield StepsApart(
                expected=f"the steps of process 0: {_told(first)}",
                seen=_told(theirs),
                where=f"process {other.rank}",
                cause="its data ended sooner or later, or it alone met an overflow and skipped",
            )


def _steps(trace: Trace) -> list[tuple[int, bool]]:
    return [(int(step["step"]), bool(step["skipped"])) for step in trace.steps]


def _told(steps: list[tuple[int, bool]]) -> str:
    skipped = [str(number) for number, was in steps if was]
    return f"{len(steps)}, skipped {', '.join(skipped)}" if skipped else str(len(steps))


@check(
    "each step's gradients are the same in every process",
    source="trainers that call the model inside its wrapper: its gradients are never averaged",
    needs=[SeveralProcesses, Parameters, Steps(1)],
)
def gradients_averaged(intent: Intent, trace: Trace) -> Iterator[Finding]:
    for other in trace.others:
        known = _at_optimizer(other)
        for mine in trace.gradients("optimizer"):
            if (theirs := known.get(_name(mine))) is None:  # not looked at by both
                continue
            apart = [p for p, a, b in zip(trace.parameters, mine["norm"], theirs["norm"], strict=False) if a != b]
            if apart:
                yield GradientsApart(
                    expected="gradients averaged over the processes before the optimizer steps",
                    seen=f"{count(len(apart), 'parameter')} with another gradient norm than in process 0",
                    where=f"process {other.rank}, step {mine['step']}: {listed(p.key for p in apart)}",
                    cause="the forward went past the wrapper that averages, or averaging was left out in this step",
                    do="call the wrapped model, and leave no_sync only around micro-batches before the last",
                )
                break


def _at_optimizer(trace: Trace) -> dict[tuple[Any, ...], Record]:
    return {_name(event): event for event in trace.gradients("optimizer")}


def _name(event: Record) -> tuple[Any, ...]:
    """What is one event in all processes."""
    return event["step"], event.get("optimizer")


@check(
    "after each step every process has the same weights, bit for bit",
    source="replicas that drift apart: what is saved is one of several models",
    needs=[SeveralProcesses, Parameters, Steps(1)],
)
def replicas_equal(intent: Intent, trace: Trace) -> Iterator[Finding]:
    for other in trace.others:
        if found := _first_apart(trace, other):
            when, apart = found
            yield ReplicasApart(
                expected="the weights of process 0, bit for bit",
                seen=f"{count(len(apart), 'parameter')} with other values",
                where=f"process {other.rank}, {when}: {listed(p.key for p in apart)}",
                cause="gradients were not averaged, or something wrote into one process's weights alone",
            )


def _first_apart(trace: Trace, other: Trace) -> tuple[str, list[Parameter]] | None:
    """When two processes first had other weights, and which."""
    ours, theirs = ({p.path: p for p in one.parameters} for one in (trace, other))
    unshared = ours.keys() ^ theirs.keys()
    if apart := [p for path, p in (theirs | ours).items() if path in unshared]:
        return "before the first step, where one of them has no such parameter", apart
    if apart := [p for path, p in ours.items() if p.first != theirs[path].first]:
        return "before the first step", apart
    for one, another in zip(trace.steps, other.steps, strict=False):
        if not (one["values"] and another["values"]):  # not looked at by both
            continue
        mine, its = _values(one), _values(another)
        if apart := [p for path, p in ours.items() if mine[p.index] != its[theirs[path].index]]:
            return f"step {one['step']}", apart
    return None


def _values(step: Record) -> list[Any]:
    """The fingerprints of the first model's parameters, which are those that a trace tells of."""
    columns: Record = next(iter(step["values"].values()))
    return list(columns["fingerprint"])
