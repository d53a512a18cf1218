"""The table of universal checks, and how a script's trace is judged by them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any

from harness.intent import Intent
from harness.result import Result, Severity, Status
from harness.wording import count

if TYPE_CHECKING:
    from harness.result import Finding
    from harness.trace.reader import Trace

Judge = Callable[..., "Iterator[Finding]"]
MODULES = (
    "ended",
    "values",
    "optimizers",
    "steps",
    "numbers",
    "processes",
    "files",
    "reloaded",
    "evaluation",
    "data",
    "costs",
)


class Absent(str, Enum):
    """Why a universal check does not apply: what it is about did not happen. A closed list."""

    NOTHING_FROZEN = "nothing of the script's models is frozen"
    ONE_PROCESS = "the script trains in one process"
    NO_REPLICAS = "its processes train different models, or parts of one: none is another's replica"
    SAME_LAYERS = "its processes have parts of the same layers, and are given the same data for that"
    ONE_STEP = "no optimizer stepped twice"
    NO_LOAD = "the script loads no weights by name"
    NO_SAVE = "the script saves no weights of its models"
    NOT_RELOADED = "nothing was loaded again: --reload auto does, of what a script saves"
    NOT_LOADED = "the saved directory does not load, or what went into it is not known"
    NO_OUTPUTS = "there are no outputs to compare: other weights came back, or the model was not tried in the end"
    NO_PICTURES = "the model saw no pictures, or an adapter was saved"
    NO_WORKERS = "no dataset was seen to be read by several workers"
    NO_HALF = "nothing is computed in 16 bits, and there is no gradient scaler"
    NO_LABELS = "no class labels were seen"
    NO_ACCUMULATION = "each step has one backward pass, or not always as many"
    NOT_EVALUATED = "no model could be tried on a batch of its own when training was over"
    NO_BACKWARD = "no backward pass started from a single number"
    NO_TIME_BUDGET = "the intent does not say how long a step may take"
    NO_MEMORY_BUDGET = "the intent does not say how much memory it may take"


@dataclass(frozen=True)
class Universal:
    """A property that any training should have. `areas` are the parts of a run that must have been followed. One that
    hears is given the intent too, where there is one. Where `untold` has a reason, the run cannot be compared with what
    is asked: such a check is made where there is an intent alone."""

    name: str
    title: str
    source: str
    areas: tuple[str, ...]
    steps: int
    about: Callable[..., Absent | None] | None
    judge: Judge
    covers: str | None = None
    hears: bool = False
    untold: Callable[[Trace, Intent], str | None] | None = None

    def given(self, trace: Trace, intent: Intent) -> tuple[Any, ...]:
        """What it is given."""
        return (trace, intent) if self.hears else (trace,)


_registered: dict[str, Universal] = {}


def universal(
    title: str,
    *,
    source: str,
    areas: Sequence[str] = (),
    steps: int = 1,
    about: Callable[..., Absent | None] | None = None,
    covers: str | None = None,
    hears: bool = False,
    untold: Callable[[Trace, Intent], str | None] | None = None,
    name: str | None = None,
) -> Callable[[Judge], Judge]:
    """Register a universal check. `covers` is the recipes' check that says the same against an intent."""

    def register(judge: Judge) -> Judge:
        key = name or judge.__name__
        _registered[key] = Universal(key, title, source, tuple(areas), steps, about, judge, covers, hears, untold)
        return judge

    return register


@cache
def _load() -> None:
    for module in MODULES:
        importlib.import_module(f"harness.checks.universal.{module}")


def _place(one: Universal) -> int:
    """The modules in their order, whichever was imported first."""
    return MODULES.index(one.judge.__module__.rpartition(".")[2])


class _Table:
    """All universal checks, in order."""

    def __iter__(self) -> Iterator[Universal]:
        _load()
        return iter(sorted(_registered.values(), key=_place))

    def __getitem__(self, name: str) -> Universal:
        _load()
        return _registered[name]


UNIVERSAL = _Table()


def judge_script(name: str, trace: Trace, besides: Sequence[Result] = (), intent: Intent | None = None) -> list[Result]:
    """The results of the universal checks on a script's trace. Those of `besides`, judged against an intent, stand for
    the universal checks that say the same."""
    done = {result.check for result in besides if result.status not in (Status.BLOCKED, Status.NOT_APPLICABLE)}
    held = {result.check for result in besides}
    return [
        _result(one, name, trace, intent or NOBODYS)
        for one in UNIVERSAL
        if one.name not in held and (one.covers is None or one.covers not in done) and (intent or one.untold is None)
    ]


def judge_costs(name: str, trace: Trace, intent: Intent) -> list[Result]:
    """The results on a trace that is no script's of what an intent says of costs, if it does."""
    return [_result(one, name, trace, intent) for one in UNIVERSAL if one.untold is not None] if intent.costs else []


def _result(one: Universal, name: str, trace: Trace, intent: Intent) -> Result:
    if one.steps and (missing := _missing(one, trace)):
        return Result(name, one.name, Status.BLOCKED, missing)
    given = one.given(trace, intent)
    if one.about is not None and (absent := one.about(*given)):
        return Result(name, one.name, Status.NOT_APPLICABLE, absent.value)
    findings = tuple(one.judge(*given))
    if not findings and one.untold is not None and (reason := one.untold(trace, intent)):
        return Result(name, one.name, Status.NOT_COMPARABLE, reason)
    if not findings:
        return Result(name, one.name, Status.PASSED)
    failed = any(finding.severity is Severity.ERROR for finding in findings)
    reason = count(len(findings), "finding")
    return Result(name, one.name, Status.FAILED if failed else Status.WARNED, reason, findings)


def _missing(one: Universal, trace: Trace) -> str:
    """Why the evidence that a check needs is not there; nothing where it is."""
    for rank in trace.ranks:
        for lost in rank.of("lost_sight"):
            if lost["area"] in one.areas or lost["area"] == "steps":
                return f"the recorder lost sight of the run's {lost['area']}: {lost['message'] or lost['error']}"
    for event in trace.reload if "reload" in one.areas else ():
        if event["kind"] == "not_reloaded":
            return str(event["reason"])
    if not trace.of("model"):
        return "no model met an optimizer"
    if not trace.effective_steps:
        return "no effective optimizer step was recorded"
    return ""


NOBODYS = Intent()
"""What the recipes' checks are given where nobody said anything."""
