"""A model that is evaluated gives the same for the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.checks.universal.registry import Absent, universal
from harness.result import Finding
from harness.wording import count, listed

if TYPE_CHECKING:
    from harness.trace.reader import Record, Trace

ROUNDING = 1e-3  # relative: sums that a GPU makes in another order each time; of fp16 the last place, 2**-10


class DropsInEvaluation(Finding):
    """Dropout that is in force in eval mode."""


class NotRepeatable(Finding):
    """Two evaluations that differ, though they were given the same batch and the same random numbers."""


def _evaluated(trace: Trace) -> list[Record]:
    return [event for event in trace.of("evaluated") if event.get("outputs")]


def _about(trace: Trace) -> Absent | None:
    return None if _evaluated(trace) else Absent.NOT_EVALUATED


@universal(
    "evaluation is deterministic: nothing is dropped in eval mode",
    source="MGM: stochastic depth of a frozen tower stays on; functional dropout without training=self.training",
    areas=("evaluation",),
    about=_about,
)
def evaluation_repeats(trace: Trace) -> Iterator[Finding]:
    for event in _evaluated(trace):
        if event["equal"]:
            continue
        if event["drops"]:  # a model that draws samples, as a VAE does, means to
            yield DropsInEvaluation(
                expected="the same outputs for the same batch in eval mode",
                seen=f"others: {count(len(event['drops']), 'module')} drop at random",
                where=listed([path or "the model itself" for path in event["drops"]]),
                cause="functional dropout is on unless it is told training=self.training; or a train() of one's own",
            )
        elif not float(event["apart"]) <= ROUNDING:
            yield NotRepeatable(
                expected="the same outputs for the same batch and the same random numbers in eval mode",
                seen=f"outputs off by {float(event['apart']):.3g} of the largest",
                where=event["model"],
                cause="memory that is read before it is written, or a state that each pass changes",
            )
