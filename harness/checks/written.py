"""What a user's intent file names is there, and is named as one thing alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.checks.needs import Need, Parameters
from harness.checks.registry import check
from harness.patterns import TAKEN_BACK, is_component, meets
from harness.recipe.components import expand
from harness.result import Finding, Reason
from harness.trace.naming import unwrapped
from harness.wording import count, listed

if TYPE_CHECKING:
    from harness.intent import Intent, Written
    from harness.trace.parameter import Parameter
    from harness.trace.reader import Trace


class PatternMeetsNothing(Finding):
    """A pattern of the intent file that names no parameter of the model."""


class TrainableAndFrozen(Finding):
    """Parameters that the intent file names trainable and frozen."""


@dataclass(frozen=True)
class _Patterns(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        return None if intent.written else Reason.NO_PATTERNS


Patterns = _Patterns()


@check(
    "every pattern of the intent file names a parameter, and none is named both trainable and frozen",
    source="a misspelt name in a list of modules freezes nothing, and nobody is told",
    needs=[Patterns, Parameters],
)
def intent_patterns_meet(intent: Intent, trace: Trace) -> Iterator[Finding]:
    for one in intent.written:
        if not named_by(one, trace):
            yield PatternMeetsNothing(
                expected=f"{one}: some parameter of the model",
                seen="none",
                where=f"names such as {listed(p.path for p in trace.parameters if p.role != 'adapter')}",
                cause="misspelt, of another model or release, or the module was never made a part of the model",
                do="name a component, a module, or write a glob such as '*.bias'; harness intent TRACE drafts a file",
            )
    both = {p.index: p for p in _all(intent, trace, "trainable")}
    both = {p.index: p for p in _all(intent, trace, "frozen") if p.index in both}
    if both:
        names = dict.fromkeys(
            str(one) for one in intent.written for p in named_by(one, trace) if one.named in _SIDES and p.index in both
        )
        yield TrainableAndFrozen(
            expected="every parameter named trainable, or frozen, or neither",
            seen=f"{count(len(both), 'parameter')} named both",
            where=listed(p.key for p in both.values()),
            cause="; ".join(names),
            do="take it out of one list, as in trainable: [language, '!*.bias']",
        )


_SIDES = ("trainable", "frozen")


def named_by(one: Written, trace: Trace) -> list[Parameter]:
    """The parameters that a pattern of the file is about."""
    text = one.pattern.removeprefix(TAKEN_BACK)
    if is_component(text):
        wanted = expand(text)
        return [p for p in trace.parameters if p.component in wanted and p.role != "adapter"]
    return [p for p in trace.parameters if meets(text, *names_of(p, trace))]


def names_of(parameter: Parameter, trace: Trace) -> tuple[str, ...]:
    """The path in memory, the same without wrappers, the published key; so of each name that shares its tensor."""
    ties: dict[str, list[str]] = trace.described.get("ties", {})
    paths = (parameter.path, *ties.get(parameter.path, ()))
    return tuple(
        dict.fromkeys(name for path in paths for name in (path, unwrapped(path), trace.naming.canonical(path)))
    )


def as_written(intent: Intent, trace: Trace, parameters: Collection[Parameter], *named: str) -> str:
    """What the user's file says of some parameters, in the user's words; nothing where it says nothing of them."""
    wanted = {p.index for p in parameters}
    said = [str(one) for one in intent.written if one.named in named and _about(one, trace, wanted)]
    return f" ({'; '.join(said)})" if said else ""


def _about(one: Written, trace: Trace, wanted: Collection[int]) -> bool:
    back = one.pattern.startswith(TAKEN_BACK)
    return not back and any(p.index in wanted for p in named_by(one, trace))


def _all(intent: Intent, trace: Trace, named: str) -> list[Parameter]:
    """What a list of the file names, but for what it takes back; of the model's own parameters."""
    found: dict[int, Parameter] = {}
    for one in intent.written:
        if one.named == named:
            ours = {p.index: p for p in named_by(one, trace) if p.role != "adapter"}
            back = one.pattern.startswith(TAKEN_BACK)
            found = {i: p for i, p in found.items() if i not in ours} if back else found | ours
    return list(found.values())
