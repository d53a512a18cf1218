"""What must not matter to a sample: padding beside it, and which other samples share its batch.

Bits may differ all the same: kernels sum in another order where lengths and batches have other shapes. How far is the
tolerance for logits of one function computed in two ways (adapter_rounding.py, 64 units of rounding in fp32, 16 in 16
bits). Measured over the shipped recipes: at most 25 units in fp32, and 5 in 16 bits. Where 16 bits are farther off, the
same model in float32 decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.checks.adapter_rounding import beyond_rounding
from harness.checks.needs import DataPromise, Probe
from harness.checks.registry import check
from harness.result import Finding, Reason
from harness.wording import listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


class PaddingMatters(Finding):
    """Logits of a sample that change with the padding beside it."""


class CompanyMatters(Finding):
    """Logits of a sample that change with the other samples of its batch."""


@dataclass(frozen=True)
class _Padding(Probe):
    """A pass over samples padded on a side, where the model can be padded on it."""

    side: Literal["left", "right"] = "right"

    def refusal(self, intent: Intent) -> Reason | None:
        return super().refusal(intent) or (None if self.side in intent.padding else Reason.NO_PADDING_THERE)


@check(
    "padding after a sample changes nothing in its logits",
    source="MGM: the mask is ids != pad, and a genuine unk, which is the pad token, is masked too",
    needs=[DataPromise, _Padding(probe="padded_right", side="right")],
)
def padding_right_harmless(intent: Intent, trace: Trace) -> Iterator[Finding]:
    yield from _of_padding(intent, trace, "right")


@check(
    "padding before a sample changes nothing in its logits",
    source="MiniCPM-Llama3-V 2.5: the attention mask is collated and never passed to the language model",
    needs=[DataPromise, _Padding(probe="padded_left", side="left")],
)
def padding_left_harmless(intent: Intent, trace: Trace) -> Iterator[Finding]:
    yield from _of_padding(intent, trace, "left")


@check(
    "the other samples of a batch change nothing in a sample's logits",
    source="LLaVA, MiniCPM-V: pictures of a whole batch are padded, encoded and written back together",
    needs=[DataPromise, Probe(probe="together")],
)
def batch_composition_harmless(intent: Intent, trace: Trace) -> Iterator[Finding]:
    probe = trace.probe("together")
    assert probe is not None
    for name, apart, largest, allowed in beyond_rounding(intent.weights, probe):
        yield CompanyMatters(
            expected=f"the logits of the {name} sample alone, within {allowed:.3g}",
            seen=f"logits off by {apart:.3g} (the largest is {largest:.3g})",
            where=f"the {name} sample in a batch of {listed(probe['names'])}",
            cause="something is normalised over the batch, padding of the longest sample or picture is seen, or"
            " pictures are given to other samples than their own, or lose a dimension where there is one alone",
        )


def _of_padding(intent: Intent, trace: Trace, side: str) -> Iterator[Finding]:
    probe = trace.probe(f"padded_{side}")
    assert probe is not None
    for name, apart, largest, allowed in beyond_rounding(intent.weights, probe):
        yield PaddingMatters(
            expected=f"the logits without padding, within {allowed:.3g}",
            seen=f"logits off by {apart:.3g} (the largest is {largest:.3g})",
            where=f"the {name} sample, padded on the {side}",
            cause="padding is attended to: the attention mask is ignored or wrong, or positions count the padding",
        )
