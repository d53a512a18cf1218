"""Merging an adapter: the same function, once and no more, and back again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.checks.adapter_needs import Merging
from harness.checks.adapter_ranks import ranks_kept
from harness.checks.adapter_rounding import MERGED, allowed_in_weights, beyond_rounding
from harness.checks.expected import gets_gradient
from harness.checks.needs import AnAdapter, Closed, Parameters, Probe, Steps
from harness.checks.registry import check
from harness.result import Finding
from harness.wording import count, listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


class MergeFails(Finding):
    """Merging or unmerging raises."""


class MergeDiffers(Finding):
    """A merged model that computes something else than the model with its adapter."""


class MergeWithoutEffect(Finding):
    """Modules whose weights merging leaves as they were, although their adapters were trained."""


class DoubleMerge(Finding):
    """Modules that merging a second time changes once more."""


class UnmergeDiffers(Finding):
    """Modules whose weights do not come back when the adapter is unmerged."""


@dataclass(frozen=True)
class Merged:
    """A module whose adapter was merged: its largest weight, and the largest change of it by merging, by merging
    once more, and by merging and unmerging."""

    path: str
    dtype: str
    largest: float
    changed: float
    again: float
    back: float


@check(
    "merged, the adapter computes the same; merging again adds nothing, and unmerging gives the weights back",
    source="minimind #255: merging twice corrupts the weights; peft #2489: merging left a scaling out",
    needs=[AnAdapter, Merging, Parameters, Steps(1, effective=True), Closed, Probe(probe="adapter_merged")],
)
def adapter_merges(intent: Intent, trace: Trace) -> Iterator[Finding]:
    assert intent.adapter is not None
    probe = trace.probe("adapter_merged")
    assert probe is not None
    if raised := probe.get("raised"):
        yield MergeFails(expected="an adapter that merges", seen=raised, where="merge_adapter, or unmerge_adapter")
        return
    yield from _logits(intent, probe)
    modules = _modules(probe)
    idle = {module.path for module in modules if module.changed == 0} & _trained_modules(intent, trace)
    if idle:
        yield MergeWithoutEffect(
            expected="every trained adapter to change the weights under it",
            seen=f"{count(len(idle), 'module')} with not one bit changed",
            where=listed(sorted(idle)),
            cause="the merge skips them, or what they add is lost to rounding in the weights' precision",
            do="merge into weights of higher precision",
        )
    if twice := [module for module in modules if module.again != 0]:
        yield DoubleMerge(
            expected="the same bits when an adapter that is merged is merged again",
            seen=f"{count(len(twice), 'module')} changed once more, by up to {max(m.again for m in twice):.3g}",
            where=listed(module.path for module in twice),
            cause="nothing notes that the adapter is merged already",
        )
    yield from _unmerged(intent.adapter.method, modules)


def _logits(intent: Intent, probe: dict[str, Any]) -> Iterator[Finding]:
    for batch, apart, largest, allowed in beyond_rounding(intent.weights, probe, units=MERGED):
        yield MergeDiffers(
            expected=f"the logits of the unmerged model, within {allowed:.3g}",
            seen=f"logits off by {apart:.3g} (the largest is {largest:.3g})",
            where=f"the {batch} batch",
            cause="a scaling left out, a module merged into another's weights, or weights that modules share",
        )


def _unmerged(method: str, modules: list[Merged]) -> Iterator[Finding]:
    off = [m for m in modules if not m.back <= allowed_in_weights(method, m.dtype, m.largest + m.changed)]
    if off:
        worst = max(off, key=lambda module: module.back / module.largest)
        allowed = allowed_in_weights(method, worst.dtype, worst.largest + worst.changed)
        yield UnmergeDiffers(
            expected=f"the weights as they were before merging, within {allowed:.3g}",
            seen=f"{count(len(off), 'module')} with other weights, off by up to {worst.back:.3g}",
            where=listed(module.path for module in off),
            cause="another delta is taken away than was added",
        )


def _modules(probe: dict[str, Any]) -> list[Merged]:
    columns = probe["modules"]
    numbers = ([float(value) for value in columns[name]] for name in ("largest", "changed", "again", "back"))
    return [Merged(*row) for row in zip(columns["path"], columns["dtype"], *numbers, strict=True)]


def _trained_modules(intent: Intent, trace: Trace) -> set[str]:
    """The adapted modules of which some adapter parameter moved, and had to; not those left without any rank."""
    assert trace.model is not None
    moved = [p.path for p in trace.parameters if p.role == "adapter" and p.moved and gets_gradient(intent, p)]
    without = {path for path, ranks in ranks_kept(intent.adapter, trace).items() if not ranks.any()}
    return {
        path
        for path in set(trace.model["adapters"]) - without
        if any(parameter.startswith(f"{path}.") for parameter in moved)
    }
