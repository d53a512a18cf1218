"""`harness compat --bisect`: which version of a library was the first to diverge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from harness.cli.shown import print_json
from harness.refusal import Refused

if TYPE_CHECKING:
    from harness.compat.bisecting import Bisection
    from harness.compat.matrix import Workshop
    from harness.compat.saving import Wanted
    from harness.compat.versions import Divergence, Question
    from harness.stacks import AskedStack, Layers, Range


def bisected(
    text: str,
    layers: Layers,
    workshop: Workshop,
    wanted: Sequence[Wanted],
    stacks: Sequence[AskedStack],
    beside: Sequence[str],
    ask: Sequence[str],
    as_json: bool,
) -> int:
    """Find the first version of a range that diverges from the oldest of it, and say so."""
    from harness.compat.bisecting import bisect
    from harness.compat.versions import QUESTIONS, Asking
    from harness.stacks import range_of

    asked = range_of(text)
    questions = cast("list[Question]", list(ask) or list(QUESTIONS))
    if wrong := next((name for name in questions if name not in QUESTIONS), None):
        raise Refused(f"unknown question {wrong!r}", do=f"ask for {', '.join(QUESTIONS)}")
    versions = asked.versions(layers.releases(asked.library))
    others = companions(asked, stacks, beside)
    asking = Asking(workshop, layers.one, asked.library, others, wanted, questions, versions[0] if versions else "")
    if len(versions) > 1:
        asking.prepare()
    found = bisect(versions, asking.diverges)
    if as_json:
        print_json({**_plain(found), "library": asked.library, "beside": dict(others), "questions": questions})
    else:
        print("\n".join(lines(found, asked, others, questions)))
    return int(found.bad is not None)


def companions(asked: Range, stacks: Sequence[AskedStack], beside: Sequence[str]) -> Mapping[str, str]:
    """What lies beside every version, the same for all: as the newest stack that is no newer than the oldest version
    has it, or the first stack; what was asked for on the command line goes first."""
    from packaging.version import InvalidVersion, Version

    named = {}
    for text in beside:
        name, _, version = text.partition("==")
        try:
            named[name.strip()] = str(Version(version))
        except InvalidVersion:
            raise Refused(f"--with {text!r} is no version", do="write it like peft==0.15.2") from None
    having = sorted(
        (one for one in stacks if asked.library in one.versions), key=lambda one: Version(one.versions[asked.library])
    )
    older = [one for one in having if Version(one.versions[asked.library]) <= _last_of(asked)]
    chosen = older[-1:] or having[:1]
    found = dict(chosen[0].versions) if chosen else {}
    return {name: version for name, version in {**found, **named}.items() if name != asked.library}


def _last_of(asked: Range) -> Any:
    """The newest version that the oldest of a range may be."""
    from packaging.version import Version

    return Version(f"{asked.first}.9999") if Version(asked.first).release[2:] == () else Version(asked.first)


def lines(found: Bisection, asked: Range, beside: Mapping[str, str], questions: Sequence[Question]) -> list[str]:
    """What was found, in words."""
    from harness.compat.versions import QUESTIONS

    constant = ", ".join(f"{name} {version}" for name, version in beside.items()) or "what is installed"
    tried = (found.versions[0], *found.tried)
    counted = f"tried {len(tried)} of {len(found.versions)} versions ({', '.join(tried)})"
    told = [f"{asked}, beside {constant}: {counted}"]
    if found.bad is None:
        what = "; ".join(QUESTIONS[name] for name in questions)
        told.append(f"Both ends agree: {found.versions[0]} and {found.good} ({what}). What lies between was not tried.")
    else:
        one = cast("Divergence", found.found)
        told.append(
            f"First to diverge: {asked.library} {found.bad}; {found.good} still agrees with {found.versions[0]}."
        )
        told += [
            f"  recipe     {one.recipe}",
            f"  asked      {QUESTIONS[one.question]}",
            f"  field      {one.field}",
            f"  seen       {one.told}",
        ]
        if found.between:
            told.append(f"  or         {', '.join(found.between)}, which could not be tried")
    return told + [f"not tried: {version}: {reason}" for version, reason in found.skipped.items()]


def _plain(found: Bisection) -> dict[str, Any]:
    return {**asdict(found), "found": asdict(cast("Any", found.found)) if found.found else None}
