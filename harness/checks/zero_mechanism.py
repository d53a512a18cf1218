"""Whether DeepSpeed did what it was asked for: told from what it made of the model, not from its configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.wording import count

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.recipe.deepspeed import Zero
    from harness.trace.reader import Record, Trace

Idle = tuple[str, str, str, str]  # expected, seen, where, cause
ENGINE = "deepspeed.initialize"


def zero_idle(intent: Intent, trace: Trace) -> Iterator[Idle]:
    """What of ZeRO was asked for and never took effect."""
    wanted = intent.mechanisms.zero
    if wanted is None:
        return
    made = next(iter(trace.of("deepspeed")), None)
    if made is None:
        yield "a model trained by DeepSpeed", "no engine was made of it", ENGINE, "the script never calls it"
        return
    if made["stage"] != wanted.stage:
        cause = "another configuration reached DeepSpeed than the recipe's"
        yield f"ZeRO at stage {wanted.stage}", f"stage {made['stage']}", ENGINE, cause
        return
    yield from _offload(wanted, made)
    if intent.weights != "float32" and made.get("masters") != ["float32"]:
        seen = ", ".join(made.get("masters") or ["none"])
        yield "masters in float32 beside weights in 16 bits", seen, "the optimizer", "masters were left in 16 bits"
    if intent.processes > 1 and wanted.stage in (1, 2):
        yield from _steps_shared(trace)
    if wanted.stage == 3:
        yield from _partitioned(trace, made)


def _offload(wanted: Zero, made: Record) -> Iterator[Idle]:
    cause = "the stage does not offload it, or its section is missing"
    if wanted.offload_optimizer and not made["offload_optimizer"]:
        yield "an optimizer in the host's memory", "one beside the model", ENGINE, cause
    if wanted.offload_parameters and not made["offload_parameters"]:
        yield "parameters in the host's memory", "parameters beside the model", ENGINE, cause


def _steps_shared(trace: Trace) -> Iterator[Idle]:
    """Each process steps a part of what trains, and together they step all of it."""
    trained = sum(parameter.size for parameter in trace.parameters if parameter.requires_grad)
    shares = [made.get("stepped_here", 0) for one in trace.ranks for made in one.of("deepspeed")]
    if any(share >= trained for share in shares):
        seen = f"{max(shares):,} of {trained:,} elements stepped in one process"
        yield "each process stepping a part of what trains", seen, "the optimizer", "nothing was partitioned"


def _partitioned(trace: Trace, made: Record) -> Iterator[Idle]:
    apart = int(made.get("partitioned", 0))
    if not apart:
        yield (
            "parameters that lie in parts",
            f"{count(len(trace.parameters), 'parameter')}, all whole",
            ENGINE,
            "all are smaller than stage3_param_persistence_threshold, which keeps them whole in every process",
        )
