"""Layers compute in the precision that was asked for, over weights that keep what 16 bits would lose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from harness.checks.needs import Closed, Forwards, Need, Parameters, Steps
from harness.checks.precision_seen import HALF, ComputeDtypes, dtypes_by_kind, multiplies
from harness.checks.registry import check
from harness.result import Finding, Reason
from harness.wording import count, listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Record, Trace


class ComputedInOtherDtype(Finding):
    """Layers that compute in another dtype than was asked for."""


class NormRounded(Finding):
    """A normalisation that is given fp32 and gives 16 bits: autocast leaves its numbers alone."""


class MasterWeightsLost(Finding):
    """Weights that train and are kept in 16 bits: small steps round back to where they began."""


class OptimizerStateLost(Finding):
    """An optimizer that keeps its state in 16 bits."""


class OtherTf32(Finding):
    """fp32 that may be computed in TF32 although it was not asked for, or the other way round."""


class Layer(NamedTuple):
    """One layer's first call: its path, its kind, the dtype of what it took (if known) and of what it gave."""

    path: str
    kind: str
    takes: str | None
    gives: str


@dataclass(frozen=True)
class _ComputePromise(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        return None if _wanted(intent) else Reason.NO_COMPUTE_PROMISE


@dataclass(frozen=True)
class _FullWeights(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        return Reason.NO_MASTERS if intent.weights in HALF else None


@dataclass(frozen=True)
class _Tf32(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        return Reason.NO_COMPUTE_PROMISE if intent.mechanisms.tf32 is None else None

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        return None if _first(trace, "tf32") else "whether TF32 was allowed was not recorded"


ComputePromise, FullWeights, Tf32 = _ComputePromise(), _FullWeights(), _Tf32()


@check(
    "linear layers, convolutions and attention compute in the precision asked for, norms in what they are given",
    source="minimind: for fourteen months `--dtype bfloat16` did not reach autocast, which was fp16",
    needs=[ComputePromise, Forwards, ComputeDtypes],
)
def layers_compute_as_asked(intent: Intent, trace: Trace) -> Iterator[Finding]:
    wanted = _wanted(intent)
    layers = list(_layers(trace))
    excused = _kept_beside(trace) if intent.weights in HALF else set()
    # Nothing but 32 bits belongs into fp32; under 16 bits much is rightly left in 32, such as embeddings and norms.
    judged = [layer for layer in layers if multiplies(layer.kind) or wanted == "float32"]
    other = [layer for layer in judged if layer.gives != wanted and layer.path not in excused]
    for kind in dict.fromkeys(layer.kind for layer in other):
        ours = [layer for layer in other if layer.kind == kind]
        of = sum(layer.kind == kind for layer in layers)
        yield ComputedInOtherDtype(
            expected=f"every {kind} computing in {wanted}",
            seen=f"{len(ours)} of {of} in {', '.join(dict.fromkeys(layer.gives for layer in ours))}",
            where=listed(layer.path or "the first training forward" for layer in ours),
            cause="the forward ran outside autocast there, or autocast was given another dtype",
        )
    norms = [layer for layer in layers if "Norm" in layer.kind and layer.takes == "float32" and layer.gives in HALF]
    if norms and wanted != "float32" and intent.weights == "float32":
        yield NormRounded(
            expected="norms that give the float32 they are given",
            seen=f"{count(len(norms), 'norm')} giving {norms[0].gives}",
            where=listed(layer.path for layer in norms),
            cause="the norm, or its output, is cast to 16 bits by hand",
        )


@check(
    "what trains is kept in fp32, and so is what the optimizer keeps of it",
    source="MiniCPM-V: weights loaded in 16 bits and a rate of 1e-6, below half an ulp: trained, and nothing changed",
    needs=[ComputePromise, FullWeights, Parameters, Steps(1), Closed],
)
def master_weights_in_fp32(intent: Intent, trace: Trace) -> Iterator[Finding]:
    half = [parameter for parameter in trace.parameters if parameter.requires_grad and parameter.dtype in HALF]
    if half:
        yield MasterWeightsLost(
            expected="every parameter that trains in float32",
            seen=f"{count(len(half), 'parameter')} in {half[0].dtype}",
            where=listed(parameter.key for parameter in half),
            cause="the model, or a part of it, was loaded in or cast to 16 bits",
            do="load the weights in float32 and leave the lower precision to autocast",
        )
    for optimizer, names in trace.of("closing")[0].get("optimizer_state_dtypes", {}).items():
        halves = {name: sum(counts.get(dtype, 0) for dtype in HALF) for name, counts in names.items()}
        if lost := {name: number for name, number in halves.items() if number}:
            yield OptimizerStateLost(
                expected="the optimizer's state in float32",
                seen=", ".join(f"{count(number, 'tensor')} of {name} in 16 bits" for name, number in lost.items()),
                where=optimizer,
                cause="an optimizer of low-precision states, or a state that was cast",
            )


@check(
    "TF32 is allowed exactly where it was asked for",
    source="torch allows it in convolutions unasked, and fp32 then has the ten bits of fp16",
    needs=[Forwards, Tf32],
)
def tf32_as_asked(intent: Intent, trace: Trace) -> Iterator[Finding]:
    seen: dict[str, bool | None] = _first(trace, "tf32")
    wanted = intent.mechanisms.tf32
    for backend, allowed in seen.items():
        if allowed is not None and allowed != wanted:
            yield OtherTf32(
                expected=f"TF32 {'allowed' if wanted else 'not allowed'}",
                seen="it was" if allowed else "it was not",
                where={"matmul": "torch.backends.cuda.matmul", "cudnn": "torch.backends.cudnn"}.get(backend, backend),
                cause="torch's default, or a library that sets it on import",
                do="set allow_tf32 before training",
            )


def _wanted(intent: Intent) -> str | None:
    return intent.mechanisms.compute or intent.mechanisms.autocast


def _first(trace: Trace, fact: str) -> Record:
    found: Record = next((event[fact] for event in trace.of("forward") if event.get(fact)), {})
    return found


def _layers(trace: Trace) -> Iterator[Layer]:
    """The layers of the first training forward; of an older trace their kinds alone."""
    if columns := _first(trace, "layers"):
        rows = zip(columns["path"], columns["kind"], columns["takes"], columns["gives"], strict=True)
        yield from (Layer(*row) for row in rows)
        return
    yield from (Layer("", kind, None, gives) for kind, dtypes in dtypes_by_kind(trace).items() for gives in dtypes)


def _kept_beside(trace: Trace) -> set[str]:
    """The modules that an adapter library has added: beside weights in 16 bits it keeps them in fp32."""
    return {p.path.rpartition(".")[0] for p in trace.parameters if p.role in ("adapter", "copy")}
