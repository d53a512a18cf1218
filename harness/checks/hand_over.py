"""What a stage has left computes the same once it is merged into one whole model, in a process of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.checks.adapter_rounding import allowed_in_logits
from harness.checks.needs import Need, VerifiedBase
from harness.checks.registry import check
from harness.result import Finding, Reason

if TYPE_CHECKING:
    from harness.intent import Dtype, Intent
    from harness.trace.reader import Trace


class HandedOverOtherwise(Finding):
    """A merged or exported model that computes something else than what it was made of."""


@dataclass(frozen=True)
class _Merged(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        return None if intent.merged else Reason.NOTHING_MERGED

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        record = trace.base_reloaded or {}
        return None if "handed_over" in record else "what was merged gave no logits to compare"


@check(
    "what an earlier stage has left computes the same once it is merged or exported",
    source="minimind #45: from native weights by an export to PEFT; MiniCPM-V #559: the merged model is the base",
    needs=[_Merged(), VerifiedBase],
)
def handed_over_equal(intent: Intent, trace: Trace) -> Iterator[Finding]:
    facts = (trace.base_reloaded or {})["handed_over"]
    for batch, apart in facts["largest_difference"].items():
        largest = float(facts["largest_logit"][batch])
        # An adapter's product is added to the weights and no more to what they give; a state dict is what it was,
        # unless one of the two stages computes in 16 bits.
        exact = intent.merged != "adapter" and intent.weights == intent.merged_weights == "float32"
        allowed = 0.0 if exact else max(allowed_in_logits(dtype, largest) for dtype in _computed_in(intent))
        if not float(apart) <= allowed or math.isnan(largest):
            yield HandedOverOtherwise(
                expected=f"the logits before merging, within {allowed:.3g}"
                if allowed
                else "the logits before, bit for bit",
                seen=f"logits off by {float(apart):.3g} (the largest is {largest:.3g})",
                where=f"the {batch} batch, of the directory that this stage starts from",
                cause="a scaling left out, a module passed over, or keys that the export did not carry over",
            )


def _computed_in(intent: Intent) -> set[Dtype]:
    """What the logits were computed in: before, by the stage that left them; after, by this one."""
    return {intent.merged_weights, intent.weights}
