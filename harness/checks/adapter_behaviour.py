"""What an adapter does to the model: nothing before the first step or when it is off, and something once trained."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.checks.adapter_needs import BaseOutputs, BaseUnderneath, IdentityAtStart, rewrites_base, starts_with_zero
from harness.checks.adapter_rounding import allowed_in_logits, beyond_rounding
from harness.checks.expected import gets_gradient
from harness.checks.needs import AnAdapter, Closed, Parameters, Probe, Steps
from harness.checks.registry import check
from harness.result import Finding

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace

DISABLED = Probe(probe="adapter_disabled")
IMAGE_COMPONENTS = frozenset(("vision", "vision_aux", "connector"))


class NoIdentityAtStart(Finding):
    """An adapter that changes the model's outputs before anything was trained."""


class DisabledIsNotBase(Finding):
    """A model that with its adapter turned off is not the base it was made from."""


class AdapterWithoutEffect(Finding):
    """A trained adapter that changes nothing in what the model says."""


@check(
    "before the first step the adapter changes nothing",
    source="peft #1798: AdaLoRA began with random values, and with a loss to match",
    needs=[AnAdapter, Closed, IdentityAtStart],
)
def adapter_starts_as_identity(intent: Intent, trace: Trace) -> Iterator[Finding]:
    for batch, apart, largest, allowed in _off_at_start(intent, trace):
        yield NoIdentityAtStart(
            expected="the base's logits" + (f" within {allowed:.3g}" if allowed else ", bit for bit"),
            seen=f"logits off by {apart:.3g} (the largest is {largest:.3g})",
            where=f"the {batch} batch, with every parameter as it was before the first step",
            cause="a factor that should begin at zero does not, or a module kept beside the adapter begins"
            " as something else than its original",
        )


@check(
    "with the adapter off the model gives the base's own logits",
    source="peft #493: with the adapter off, the trained copy of a kept module still computed",
    needs=[AnAdapter, BaseUnderneath, Closed, DISABLED, BaseOutputs],
)
def adapter_disabled_is_base(intent: Intent, trace: Trace) -> Iterator[Finding]:
    probe, base = _probe(trace, "adapter_disabled"), trace.base_reloaded
    assert base is not None
    for batch, fingerprint in probe["fingerprint"].items():
        if base["outputs"].get(batch) != fingerprint:
            apart, largest = _apart_from_base(trace, probe, batch)
            yield DisabledIsNotBase(
                expected="the logits of the base directory, bit for bit",
                seen=f"logits off by {apart:.3g} (the largest is {largest:.3g})",
                where=f"the {batch} batch",
                cause="a module that turning off does not reach, or weights of the base that training has changed",
            )


@check(
    "the trained adapter changes what the model says",
    source="MiniCPM-V #559: the fine-tuned model's answers are those of the base",
    needs=[AnAdapter, Parameters, Steps(1, effective=True), Closed, DISABLED],
)
def adapter_changes_outputs(intent: Intent, trace: Trace) -> Iterator[Finding]:
    probe = _probe(trace, "adapter_disabled")
    reached = {p.component for p in trace.parameters if p.role == "adapter" and gets_gradient(intent, p)}
    for batch, apart in probe["effect"].items():
        seen_by = reached - IMAGE_COMPONENTS if batch == "text" else reached
        if seen_by and float(apart) == 0:
            yield AdapterWithoutEffect(
                expected="other logits with the adapter than without it",
                seen="bit-equal logits",
                where=f"the {batch} batch; adapters in {', '.join(sorted(seen_by))}",
                cause="a scaling of zero, an adapter that is not the active one, or one that was never trained",
            )


def _any_dora(trace: Trace) -> bool:
    assert trace.model is not None
    return any(dora for facts in trace.model["adapters"].values() for dora in facts.get("use_dora", {}).values())


def _off_at_start(intent: Intent, trace: Trace) -> Iterator[tuple[str, float, float, float]]:
    """By batch: a difference from the logits that the adapter should leave as they are which rounding does not explain,
    the largest of these logits, and the difference allowed; none is where a factor of zeros is added."""
    assert intent.adapter is not None
    probe, rewritten = _probe(trace, "adapter_at_start"), rewrites_base(intent.adapter)
    exact = starts_with_zero(intent.adapter) and not _any_dora(trace)
    if not (exact or rewritten):
        yield from beyond_rounding(intent.weights, probe, stored=True)
        return
    for batch, apart in probe["largest_difference"].items():
        found = (
            _apart_from_base(trace, probe, batch) if rewritten else (float(apart), float(probe["largest_logit"][batch]))
        )
        allowed = 0.0 if exact else allowed_in_logits(intent.weights, found[1])
        if not found[0] <= allowed:
            yield batch, *found, allowed


def _apart_from_base(trace: Trace, probe: dict[str, Any], batch: str) -> tuple[float, float]:
    """The largest difference of a probe's logits from those of the base directory, and the largest of these."""
    import numpy as np

    from harness.trace.arrays import read_arrays

    assert trace.base_reloaded is not None
    ours = read_arrays(Path(trace.directory) / "rank-0" / probe["arrays"])[batch]
    base = read_arrays(Path(trace.directory) / "base" / trace.base_reloaded["arrays"]).get(batch)
    if base is None or base.shape != ours.shape:
        return math.inf, math.nan
    return float(np.max(np.abs(ours - base))), float(np.max(np.abs(base)))


def _probe(trace: Trace, name: str) -> dict[str, Any]:
    probe = trace.probe(name)
    assert probe is not None
    return probe
