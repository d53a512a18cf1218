"""A run takes the memory that the recipe needs: gradients and states of what trains alone, and nothing kept; and no
second model beside the one that is loaded, built and saved."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.checks.expected import should_train
from harness.checks.memory_phases import PHASES, beyond_phases, bytes_of, mib
from harness.checks.needs import Closed, Need, Parameters, Steps
from harness.checks.paced import TimedRun
from harness.checks.registry import check
from harness.result import Finding, Reason
from harness.wording import listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace

MOMENTS = 2  # of AdamW for each element
RANKED = 3  # numbers that AdaLoRA has of each element: how much it matters, that over time, and how it varies
TOWERS = ("vision", "vision_aux")
RECOMPUTED = ("vision", "vision_aux", "language")  # components that are made of layers
LEAST_SAVED = 0.5  # of what layers keep: measured, 88 to 93 % is saved by checkpointing all of them


class GradientOfFrozen(Finding):
    """Memory for the gradient of parameters that do not train."""


class StateOfFrozen(Finding):
    """Memory for optimizer states of parameters that do not train, or more of it than two moments take."""


class PeakTooHigh(Finding):
    """A phase of the step that takes more than the recipe needs, by more than the budget allows."""


class MemoryGrows(Finding):
    """Bytes that stay at each step: something holds on to what a step has made."""


class FrozenTowerKeeps(Finding):
    """A frozen tower that keeps activations for a backward pass which nothing in it or before it needs."""


class CheckpointingKeeps(Finding):
    """Layers that are meant to be computed again, and keep what they computed."""


@dataclass(frozen=True)
class AMemoryBudget(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        return None if intent.budget and intent.budget.memory else Reason.NO_MEMORY_BUDGET


class WatchedRun(TimedRun):
    """A run beside the recipe's own whose memory was watched."""

    def missing_of(self, partner: Trace) -> str | None:
        memory = partner.measured.get("memory") or {}
        there = memory.get("run", {}).get("peak") and memory.get("bare", {}).get("peak")
        there = there and memory.get("phases", {}).keys() >= {*PHASES, "given"}
        return None if there else "no memory was watched"


@check(
    "a run takes the memory the recipe needs: to load, build and save, for what trains, and the same at each step",
    source="LoRA and frozen towers that save nothing: states for all, activations kept, losses kept with their graphs; "
    "a base loaded twice, a state dict copied to be saved",
    needs=[Closed, Parameters, Steps(1), AMemoryBudget(), WatchedRun()],
)
def memory_within_budget(intent: Intent, trace: Trace, paced: Trace) -> Iterator[Finding]:
    assert intent.budget is not None
    assert intent.budget.memory is not None
    memory = paced.measured["memory"]
    # The run beside saves nothing, and may train a copy of what this one trains in place: by the names that it has.
    trained = {p.path: bytes_of(p) for p in paced.parameters if should_train(intent, p)}
    yield from _only_of_what_trains(memory, trained)
    yield from _peaks(memory, trained, _of_ranks(intent, paced), intent.budget.memory.of_estimate)
    yield from _growth(memory)
    yield from _kept(intent, trace, memory)
    yield from beyond_phases(intent, paced, memory, intent.budget.memory.of_estimate)


def _of_ranks(intent: Intent, paced: Trace) -> int:
    """Bytes by which AdaLoRA tells which ranks to keep, which a bare step knows nothing of."""
    ranked = intent.adapter is not None and intent.adapter.method == "adalora"
    factors = (p for p in paced.parameters if p.role == "adapter" and should_train(intent, p))
    return RANKED * sum(map(bytes_of, factors)) if ranked else 0


def needed(memory: Mapping[str, Any], trained: Mapping[str, int], besides: int = 0) -> dict[str, int]:
    """Bytes that each phase needs beside the weights: gradients and states by arithmetic and what a forward keeps, or
    what a bare step over the same batch has taken, where that is more; the batch, where it is made as a step comes to
    it; and what is there `besides`."""
    gradients, kept = sum(trained.values()), sum(memory["kept"].values())
    states = MOMENTS * gradients
    by_arithmetic = {
        "forward": states + kept,
        "backward": states + gradients + kept,
        "optimizer": states + gradients,
    }
    bare, besides = memory["bare"]["peak"], besides + memory["batch"]
    return {phase: max(least, bare.get(phase, 0)) + besides for phase, least in by_arithmetic.items()}


def _only_of_what_trains(memory: Mapping[str, Any], trained: Mapping[str, int]) -> Iterator[Finding]:
    if gradients := _beyond(trained, 1, memory["gradients"]):
        yield GradientOfFrozen(
            expected=f"gradients of what trains alone: {mib(sum(trained.values()))}",
            seen=f"{mib(sum(gradients.values()))} more",
            where=listed(gradients),
            cause="frozen after a backward pass, or given a gradient that nobody zeroes",
            do="set grad to None when freezing",
        )
    if states := _beyond(trained, MOMENTS, memory["states"]):
        yield StateOfFrozen(
            expected=f"two moments of what trains: {mib(MOMENTS * sum(trained.values()))}",
            seen=f"{mib(sum(states.values()))} more",
            where=listed(states),
            cause="the optimizer was made before freezing, or keeps more than AdamW's moments",
            do="make the optimizer of what requires a gradient",
        )


def _beyond(trained: Mapping[str, int], times: int, held: Mapping[str, int]) -> dict[str, int]:
    """By path, the bytes that are held beyond so many times those of what trains."""
    beyond = {path: size - times * trained.get(path, 0) for path, size in held.items()}
    return {path: more for path, more in beyond.items() if more > 0}


def _peaks(
    memory: Mapping[str, Any], trained: Mapping[str, int], of_ranks: int, of_estimate: float
) -> Iterator[Finding]:
    for phase, least in needed(memory, trained, of_ranks).items():
        seen = memory["run"]["peak"].get(phase, 0)
        if seen > of_estimate * least:
            yield PeakTooHigh(
                expected=f"at most {of_estimate:.2f} times {mib(least)} beside the weights",
                seen=f"{mib(seen)}, {seen / least:.2f} times as much",
                where=f"{phase}, on {memory['device']}",
                cause="copies of gradients or weights, outputs or graphs that are kept from one step to the next",
                do="detach what is kept for logs, and keep numbers instead of tensors",
            )


def _growth(memory: Mapping[str, Any]) -> Iterator[Finding]:
    began = memory["run"]["began"]
    grown = [later - before for before, later in itertools.pairwise(began)]
    if len(grown) > 1 and min(grown) > memory["batch"]:
        yield MemoryGrows(
            expected="as much memory at the beginning of each step as of the one before",
            seen=f"{min(grown):,} to {max(grown):,} bytes more at each",
            where=f"steps 1 to {len(began)}, on {memory['device']}",
            cause="something holds what each step has made: losses with their graphs, outputs, gradients",
            do="append loss.item(), not loss",
        )


def _kept(intent: Intent, trace: Trace, memory: Mapping[str, Any]) -> Iterator[Finding]:
    kept = memory["kept"]
    if intent.mechanisms.checkpointing:  # libraries make a tower's input want a gradient, for the reentrant kind
        yield from _kept_though_recomputed(memory)
        return
    tuned = {p.component for p in trace.parameters if should_train(intent, p)}
    for component in TOWERS:
        if component not in tuned and (size := kept.get(component)):
            yield FrozenTowerKeeps(
                expected=f"{component}: nothing kept for a backward pass, for nothing in it trains",
                seen=mib(size),
                where=component,
                cause="its input wants a gradient, as enable_input_require_grads makes it",
                do="let the input of the tower require none, or run it under no_grad",
            )


def _kept_though_recomputed(memory: Mapping[str, Any]) -> Iterator[Finding]:
    for component in (one for one in RECOMPUTED if one in memory["recomputable"]):
        size, all_of_it = memory["kept"].get(component, 0), memory["kept_without_checkpointing"].get(component, 0)
        if size > LEAST_SAVED * all_of_it:
            yield CheckpointingKeeps(
                expected=f"{component}: less than {LEAST_SAVED:.0%} of the {mib(all_of_it)} that is kept without it",
                seen=mib(size),
                where=component,
                cause="checkpointing did not reach all layers, or layers keep what they compute in other ways",
                do="turn it on where each layer is called",
            )
