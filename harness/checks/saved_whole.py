"""What is saved of a model that lies in parts is whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.checks.needs import Closed, Need, Parameters, Reload
from harness.checks.registry import check
from harness.result import Finding, Reason
from harness.wording import count, listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


class SavedInParts(Finding):
    """Saved tensors with fewer elements than the parameters have: those of one process, or none at all."""


@dataclass(frozen=True)
class _Partitioned(Need):
    """Parameters themselves lie in parts with several processes, or are released by one."""

    def refusal(self, intent: Intent) -> Reason | None:
        zero = intent.mechanisms.zero
        return None if zero and zero.stage == 3 else Reason.NOT_PARTITIONED

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        return None if trace.inventory is not None else "the saved directory could not be listed"


@check(
    "what ZeRO-3 has taken apart is saved whole",
    source="DeepSpeed #3090, peft #2500, accelerate #3508: adapters and frozen weights saved as empty tensors",
    needs=[Closed, Parameters, Reload, _Partitioned()],
)
def saved_weights_whole(intent: Intent, trace: Trace) -> Iterator[Finding]:
    assert trace.inventory is not None
    sizes = {parameter.key: parameter.size for parameter in trace.parameters if parameter.role == "base"}
    short: list[str] = []
    empty = 0
    for name, facts in trace.inventory["tensors"].items():
        size = math.prod(facts["shape"])
        if size == 0 or size < sizes.get(trace.naming.canonical(name), size):
            short.append(name)
            empty += size == 0
    if short:
        yield SavedInParts(
            expected="every tensor with all its elements",
            seen=f"{count(len(short), 'tensor')} of {len(trace.inventory['tensors'])} in part, {empty} of them empty",
            where=listed(short),
            cause="saved as it lay in memory: under ZeRO-3 each process has a part of a parameter, and between forwards"
            " nothing of it in its place",
            do="save the gathered state dict (stage3_gather_16bit_weights_on_model_save), or inside"
            " zero.GatheredParameters, in every process",
        )
