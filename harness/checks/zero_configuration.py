"""What a DeepSpeed configuration says is what is done, whatever the trainer's own settings say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.checks.decay import decays, is_spared
from harness.checks.needs import Need, Parameters, Steps
from harness.checks.rates import off_schedule
from harness.checks.registry import check
from harness.checks.steps_needs import Optimized
from harness.result import Finding, Reason
from harness.wording import count, listed

if TYPE_CHECKING:
    from harness.intent import Intent, Optimization
    from harness.trace.reader import Record, Trace

WHERE = "the configuration given to deepspeed.initialize"


class ConfigurationOverrides(Finding):
    """A setting of the recipe in whose place DeepSpeed's configuration has put another."""


@dataclass(frozen=True)
class _ByDeepSpeed(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        return None if intent.mechanisms.zero else Reason.NO_DEEPSPEED

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        return None if trace.of("deepspeed") else "no engine of DeepSpeed was made"


@check(
    "DeepSpeed's configuration puts nothing in the place of what was asked for",
    source="MiniCPM-V #212: the JSON brings WarmupLR and AdamW; cosine is ignored, and weight decay pulls at norms",
    needs=[Parameters, Steps(1), Optimized, _ByDeepSpeed()],
)
def configuration_overrides_nothing(intent: Intent, trace: Trace) -> Iterator[Finding]:
    assert intent.optimization is not None
    made = trace.of("deepspeed")[0]
    yield from _schedule(intent, intent.optimization, trace, made)
    yield from _groups(intent.optimization, trace, made)
    yield from _clipping(intent, made)


def _schedule(intent: Intent, asked: Optimization, trace: Trace, made: Record) -> Iterator[Finding]:
    own = made.get("own_schedule") if asked.schedule != "other" else None
    off = next(off_schedule(asked, intent.steps or len(trace.steps), trace), None) if own else None
    if off:
        yield ConfigurationOverrides(
            expected=f"optimizer.schedule {asked.schedule}, optimizer.warmup_steps {asked.warmup_steps}: a rate of"
            f" {off.expected:.6g} at step {off.step}",
            seen=f"scheduler {own}: a rate of {off.seen:.6g}",
            where=WHERE,
            cause="a scheduler section takes the place of the trainer's schedule, whose settings are then unheeded",
            do="take the scheduler section out of the JSON, or ask for what it says",
        )


def _groups(asked: Optimization, trace: Trace, made: Record) -> Iterator[Finding]:
    own = made.get("own_optimizer")
    spared = [p.key for p, decay in decays(trace) if decay and is_spared(p, trace)] if own else []
    if spared:
        yield ConfigurationOverrides(
            expected=f"optimizer.weight_decay {asked.weight_decay:g} in groups, without biases and norms",
            seen=f"optimizer {own}: one group, which decays {count(len(spared), 'parameter')} of these",
            where=f"{WHERE}: {listed(spared)}",
            cause="an optimizer section takes the place of the trainer's optimizer, with one group of all that trains",
            do="take the optimizer section out of the JSON",
        )
    if own and (asked.component_rates or asked.rate_factors):
        yield ConfigurationOverrides(
            expected="optimizer rates by component or by name",
            seen=f"optimizer {own}: one group, with one rate",
            where=WHERE,
            cause="an optimizer section takes the place of the trainer's optimizer, with one group of all that trains",
            do="take the optimizer section out of the JSON",
        )


def _clipping(intent: Intent, made: Record) -> Iterator[Finding]:
    asked, done = intent.mechanisms.clip_norm or 0.0, float(made["clip_norm"])
    if asked != done:
        yield ConfigurationOverrides(
            expected=f"optimizer.clip_norm {asked:g}" if asked else "no clipping",
            seen=f"gradient_clipping {done:g}" if done else "gradient_clipping 0: nothing is clipped",
            where=WHERE,
            cause="DeepSpeed clips by its own configuration alone; a trainer's setting reaches it only where that says"
            " auto",
            do="write gradient_clipping: auto into the JSON",
        )
