"""What the checks of steps need: that it was said how steps are to be made, and which kind of run they are for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.checks.needs import Need
from harness.result import Reason

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


@dataclass(frozen=True)
class _Optimization(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        return None if intent.optimization else Reason.NO_OPTIMIZATION


@dataclass(frozen=True)
class _Schedule(_Optimization):
    def refusal(self, intent: Intent) -> Reason | None:
        unsaid = intent.optimization is not None and intent.optimization.schedule == "other"
        return Reason.NO_SCHEDULE if unsaid else super().refusal(intent)


@dataclass(frozen=True)
class _SeveralRates(_Optimization):
    """Some of what trains has a rate of its own, or the schedule is nobody knows which and there may be groups."""

    def refusal(self, intent: Intent) -> Reason | None:
        asked = intent.optimization
        if asked is None or asked.schedule == "other" or asked.component_rates or asked.rate_factors:
            return super().refusal(intent)
        return Reason.ONE_RATE


@dataclass(frozen=True)
class _Clipping(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        return None if intent.mechanisms.clip_norm is not None else Reason.NO_CLIPPING


@dataclass(frozen=True)
class _Tail(Need):
    """Some step is meant to have fewer micro-batches than the others."""

    def refusal(self, intent: Intent) -> Reason | None:
        asked = intent.mechanisms
        short = any(asked.micro_batches(step) < asked.accumulation for step in intent.step_numbers)
        return None if short else Reason.NO_TAIL


@dataclass(frozen=True)
class _RepeatedBatch(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        return None if intent.mechanisms.repeats else Reason.NO_REPEATED_BATCH


@dataclass(frozen=True)
class _BackwardValues(Need):
    def missing(self, intent: Intent, trace: Trace) -> str | None:
        known = any(event["value"] is not None for event in trace.of("backward"))
        return None if known else "no backward started from a single number"


@dataclass(frozen=True)
class _Decay(_Optimization):
    def refusal(self, intent: Intent) -> Reason | None:
        unsaid = intent.optimization is not None and intent.optimization.weight_decay is None
        return Reason.NO_OPTIMIZATION if unsaid else super().refusal(intent)


Optimized = _Optimization()
Scheduled = _Schedule()
SeveralRates = _SeveralRates()
DecayAsked = _Decay()
Clips = _Clipping()
ShortGroup = _Tail()
RepeatedBatch = _RepeatedBatch()
BackwardValues = _BackwardValues()
