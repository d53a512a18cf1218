"""What loading, building, tuning and saving a model may hold: by arithmetic, beside what each began with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.checks.expected import should_train
from harness.result import Finding

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.parameter import Parameter
    from harness.trace.reader import Trace

PHASES = ("load", "build", "tune")  # of every run; `save` of one that saves
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
FP32, FP16 = 4, 2
COARSE = 128 << 20  # of a process, in pages: measured, loading takes 22 to 27 MiB of libraries, tokenizers and code
NOTHING = {"peak": 0, "left": 0, "resident": 0}


class PhasePeakTooHigh(Finding):
    """Loading, building, tuning or saving takes more at a time than the recipe needs for it."""


class PhaseKeeps(Finding):
    """Loading, building, tuning or saving is over and has left more in memory than the recipe needs."""


@dataclass(frozen=True)
class Needed:
    """Bytes that a phase needs at the most while it lasts, and those that it may leave."""

    peak: int
    left: int


LIKELY = {
    "load": ("the checkpoint is read a second time, or what was read is held", "read it once, and let it go"),
    "build": ("a second model, or what was laid over this one, is held", "let go of what the model was made of"),
    "tune": ("modules are copied that do not train, or held in two dtypes", "copy what trains alone"),
    "save": ("the state dict is copied, or cast as a whole", "save tensors as they lie there, a shard at a time"),
}


def bytes_of(parameter: Parameter) -> int:
    """The bytes of a parameter's values, which are those of its gradient."""
    bits = int("".join(filter(str.isdigit, parameter.dtype)) or 0)
    return parameter.size * bits // 8


def beyond_phases(intent: Intent, paced: Trace, memory: Mapping[str, Any], of_estimate: float) -> Iterator[Finding]:
    """What holds more than so many times what is needed, and one tensor, the largest, that is computed with in fp32: in
    each phase one may be converted or drawn at a time. Of what a phase leaves and what it takes, the first is named.

    The process as the system sees it may grow by as much, and by what libraries take: this finds what is not torch's.
    """
    one = FP32 * max(p.size for p in paced.parameters)
    on_cpu = memory["device"].startswith("cpu")
    for phase, needed in needed_by_phase(intent, paced, memory).items():
        held = memory["phases"].get(phase, NOTHING)
        left, most = of_estimate * needed.left + one, of_estimate * needed.peak + one
        if held["left"] > left:
            yield _beyond(PhaseKeeps, memory, phase, left, f"{mib(held['left'])} left of it")
        elif held["peak"] > most:
            yield _beyond(PhasePeakTooHigh, memory, phase, most, f"{mib(held['peak'])} at a time")
        elif on_cpu and held["resident"] > most + COARSE:
            yield _beyond(PhasePeakTooHigh, memory, phase, most + COARSE, f"{mib(held['resident'])} of the process")


def _beyond(kind: type[Finding], memory: Mapping[str, Any], phase: str, most: float, seen: str) -> Finding:
    cause, do = LIKELY[phase]
    return kind(
        expected=f"at most {mib(int(most))} beside what there was",
        seen=seen,
        where=f"{phase}, on {memory['device']}",
        cause=cause,
        do=do,
    )


def needed_by_phase(intent: Intent, paced: Trace, memory: Mapping[str, Any]) -> dict[str, Needed]:
    """By phase, what it needs beside what was there as it began.

    Weights are loaded in their dtype, from files that are mapped until all are: each weight may be there twice, and the
    files of what is laid over them too. Rows for new tokens make new tensors of the embeddings, with their mean and
    spread computed in fp32. An adapter is there once, or twice where it is read from a file; and a copy of each module
    that trains beside it. On a GPU the model arrives as it is tuned.
    """
    given = memory["phases"]["given"]
    weights = _weights(intent, paced) + given["buffers"]
    grown = [p for p in paced.parameters if p.role in {"base", "original"} and intent.is_resized(p.key)]
    built = given["laid over"] + sum(map(bytes_of, grown))
    in_fp32 = 2 * FP32 * max((p.size for p in grown), default=0)
    adapter = _added(paced) + given["buffers of adapters"]
    read = adapter if intent.adapter and intent.adapter.continued else 0
    arrives = 0 if memory["device"].startswith("cpu") else weights
    return {
        "load": Needed(weights + given["files"], weights),
        "build": Needed(built + given["laid over"] + in_fp32, built),
        "tune": Needed(arrives + adapter + read, arrives + adapter),
        "save": Needed(_copied_to_save(intent, paced), 0),
    }


def _weights(intent: Intent, paced: Trace) -> int:
    """Bytes of what was loaded, in the dtype that the recipe asks for."""
    return BYTES[intent.weights] * sum(p.size for p in paced.parameters if p.role in {"base", "original"})


def _added(paced: Trace) -> int:
    return sum(bytes_of(p) for p in paced.parameters if p.role in {"adapter", "copy"})


def _copied_to_save(intent: Intent, paced: Trace) -> int:
    """Bytes that are copied on their way to a file: of an adapter and what is saved with it, of a projector, of a state
    dict in fp16, and of files that are written again in torch's own format, one. Else what is saved is no copy."""
    save, parameters = intent.save, paced.parameters
    beside = [p for p in parameters if save.beside_adapter and p.role == "base" and should_train(intent, p)]
    if save.what == "adapter":
        return _added(paced) + sum(map(bytes_of, beside))
    if save.what == "projector":
        return sum(bytes_of(p) for p in parameters if intent.is_held(p.key))
    if save.pickled:
        return _weights(intent, paced) // save.at_least_shards
    return FP16 * sum(p.size for p in parameters) if save.half else 0


def mib(size: int) -> str:
    return f"{size / 2**20:,.3g} MiB" if size >= 2**17 else f"{size:,} bytes"
