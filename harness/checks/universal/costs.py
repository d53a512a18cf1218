"""A command costs no more than its intent says, as far as that can be told from the run itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.checks.order_statistics import Bounds, bounds
from harness.checks.universal.registry import Absent, universal
from harness.result import Finding
from harness.wording import count

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.recipe.costs import Costs
    from harness.trace.reader import Record, Trace

WARM_UP = 2  # steps that are timed first and not looked at; of the very first the beginning is not known
UNTIMED = "nothing was timed: harness trace and harness.watch do, of a process that comes to its own end"
COUNTED = {"samples_per_second": "samples", "tokens_per_second": "lengths"}  # by setting, whose column counts them


class TooSlow(Finding):
    """Steps that take longer than the budget allows, whatever the noise."""


class TooMuchMemory(Finding):
    """A process that took more memory than the budget allows, without what the recorder keeps."""


@dataclass(frozen=True)
class Held:
    """One statement about time, and between which bounds the median of the run's steps lies: as they were, and `bare`
    of what looking took. Other programs had the processor for a part of the time. Both only ever make a run slower."""

    name: str
    asked: float
    seen: Bounds
    bare: Bounds
    others: float

    @property
    def most(self) -> bool:
        return self.name == "seconds_per_step"

    @property
    def kept(self) -> bool:
        return self.seen.high <= self.asked if self.most else self.seen.low >= self.asked

    @property
    def broken(self) -> bool:
        own = 1 - self.others
        return self.bare.low * own > self.asked if self.most else self.bare.high < self.asked * own

    @property
    def doubt(self) -> str:
        """Why neither can be said."""
        others = f" while others had the processor for {self.others:.0%} of the time" if self.others > 0.01 else ""
        between = f"between {self.said(min(self.bare.low, self.seen.low))} and"
        return (
            f"too noisy to tell: {between} {self.said(max(self.bare.high, self.seen.high))}{others}, and "
            f"{self.said(self.asked)} is asked for"
        )

    def said(self, value: float) -> str:
        return f"{value:.4g} s a step" if self.most else f"{value:.4g} {self.name.partition('_')[0]} a second"


def _no_times(_: Trace, intent: Intent) -> Absent | None:
    return None if intent.costs and intent.costs.timed else Absent.NO_TIME_BUDGET


def _no_memory(_: Trace, intent: Intent) -> Absent | None:
    return None if intent.costs and intent.costs.memory else Absent.NO_MEMORY_BUDGET


def _speed_untold(trace: Trace, intent: Intent) -> str | None:
    """Why the run says neither that it keeps its budget nor that it does not."""
    assert intent.costs is not None
    found, why_not = _speeds(trace, intent.costs)
    return why_not or next((one.doubt for one in found if not one.kept), None)


@universal(
    "steps take no longer than the budget of the intent says, on the device that it names",
    source="data loaders and logs that take as long as the step",
    about=_no_times,
    hears=True,
    untold=_speed_untold,
)
def steps_within_budget(trace: Trace, intent: Intent) -> Iterator[Finding]:
    assert intent.costs is not None
    for one in _speeds(trace, intent.costs)[0]:
        if one.broken:
            yield TooSlow(
                expected=f"{'at most' if one.most else 'at least'} {one.said(one.asked)}",
                seen=f"{one.said(one.bare.middle)} in the middle, without what looking took",
                where=f"on {intent.costs.device}",
                cause="batches that are made slowly, a log that waits, a pass that nobody needs; or another model",
                do="profile a step, or write what it may take into the intent",
            )


def _speeds(trace: Trace, costs: Costs) -> tuple[list[Held], str]:
    """What each statement about time came to; and why that cannot be told of others, or of any."""
    facts = trace.measured.get("costs")
    if not facts:
        return [], UNTIMED
    if facts["device"] != costs.device:
        return [], f"it ran on {facts['device']}; the budget is of {costs.device}"
    if facts["optimizers"] > 1:
        return [], f"{count(facts['optimizers'], 'optimizer')} step in turn: which of them ends a step is not known"
    others = min(facts["waited"] / facts["window"], 1.0) if facts["window"] else 0.0
    found, why_not = [], ""
    for name in costs.timed:
        seen, bare = _values(name, trace, facts)
        try:
            found.append(Held(name, getattr(costs, name), bounds(seen), bounds(bare), others))
        except ValueError:
            known = f" of which it is known how many {name.partition('_')[0]} they had" * (name in COUNTED)
            why_not = why_not or f"{count(len(seen), 'step')} after the warm-up{known}: too few to tell"
    return found, why_not


def _values(name: str, trace: Trace, facts: Record) -> tuple[list[float], list[float]]:
    """Of each step that was timed, its seconds or what it got done in each of them: with looking, and without."""
    columns = zip(facts["steps"], facts["seconds"], facts["looking"], strict=True)
    took = [(step, seconds, max(seconds - looked, 1e-6)) for step, seconds, looked in columns][WARM_UP:]
    if name not in COUNTED:
        return [seconds for _, seconds, _ in took], [bare for *_, bare in took]
    done = _done(trace, name)
    known = [(done[step], seconds, bare) for step, seconds, bare in took if step in done]
    return [number / seconds for number, seconds, _ in known], [number / bare for number, _, bare in known]


def _done(trace: Trace, name: str) -> dict[int, int]:
    """By step, how many samples or tokens all processes trained on, where their forward passes say so."""
    done: dict[int, int] = {}
    for rank in trace.ranks:
        for event in rank.of("forward"):
            column = event.get(COUNTED[name])
            if event.get("training") and column:
                number = len(column) if name == "samples_per_second" else sum(column)
                done[event["step"]] = done.get(event["step"], 0) + number
    return done


def _memory_untold(trace: Trace, intent: Intent) -> str | None:
    assert intent.costs is not None
    assert intent.costs.memory is not None
    for rank in trace.ranks:
        memory = (rank.measured.get("costs") or {}).get("memory") or {}
        if not memory.get("peak"):
            return f"nobody says what process {rank.rank} took: it was killed, or the system does not count it"
        if memory["peak"] > intent.costs.memory:
            held, most = _mib(memory["held"]), _mib(intent.costs.memory)
            return f"{_mib(memory['peak'])} with up to {held} of the recorder's own, and {most} is the most"
    return None


@universal(
    "a process takes no more memory than the budget of the intent says",
    source="a LoRA recipe that holds optimizer states of all parameters",
    about=_no_memory,
    hears=True,
    untold=_memory_untold,
)
def memory_within_limit(trace: Trace, intent: Intent) -> Iterator[Finding]:
    assert intent.costs is not None
    assert intent.costs.memory is not None
    for rank in trace.ranks:
        memory = (rank.measured.get("costs") or {}).get("memory") or {}
        peak, held = memory.get("peak", 0), memory.get("held", 0)
        if peak - held > intent.costs.memory:
            yield TooMuchMemory(
                expected=f"at most {_mib(intent.costs.memory)}",
                seen=f"{_mib(peak)} {memory['kind']}, of which the recorder's own are {_mib(held)} at the most",
                where=f"process {rank.rank}",
                cause="more that trains than was meant, a longer batch, or tensors that are kept from step to step",
                do="look at what trains, and at the sizes of batches; or write what it may take into the intent",
            )


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
