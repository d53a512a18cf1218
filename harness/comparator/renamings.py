"""What of two models is the same parameter under two names: releases of libraries give modules other names, and a key
that has changed is not a parameter that is gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.trace.naming import unwrapped
from harness.wording import count

if TYPE_CHECKING:
    from harness.trace.parameter import Parameter
    from harness.trace.reader import Trace


def renamings(one: Trace, other: Trace) -> Iterator[str]:
    """What has another path in memory in the other trace, one line for all that moved together: of parameters that
    share their canonical key, and of those that share none and began with the same values."""
    first, second = ({p.key: p for p in trace.parameters if p.role == "base"} for trace in (one, other))
    pairs = [(p.path, second[key].path) for key, p in first.items() if key in second]
    yield from _told(pairs, "")
    alone = ([p for key, p in here.items() if key not in there] for here, there in ((first, second), (second, first)))
    yield from _told(_alike(*alone), ", under another key")


def _alike(ours: list[Parameter], theirs: list[Parameter]) -> list[tuple[str, str]]:
    """Parameters of one side and the other that began alike, where only one of each did."""
    known, others = (Counter((p.first, p.shape) for p in side) for side in (ours, theirs))
    by_value = {(p.first, p.shape): p.key for p in theirs}
    alike = [p for p in ours if known[p.first, p.shape] == others[p.first, p.shape] == 1]
    return [(p.key, by_value[p.first, p.shape]) for p in alike]


def _told(pairs: list[tuple[str, str]], how: str) -> Iterator[str]:
    moved = Counter(_shortest(unwrapped(ours), unwrapped(theirs)) for ours, theirs in pairs)
    for (ours, theirs), number in moved.items():
        if ours != theirs:
            yield f"{ours} is {theirs}: {count(number, 'parameter')}{how}"


def _shortest(path: str, other: str) -> tuple[str, str]:
    """Two paths without what is equal at their ends; a word of each is left."""
    ours, theirs = path.split("."), other.split(".")
    while len(ours) > 1 and len(theirs) > 1 and ours[-1] == theirs[-1]:
        ours.pop()
        theirs.pop()
    return ".".join(ours), ".".join(theirs)
