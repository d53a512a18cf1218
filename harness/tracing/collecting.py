"""Finds what the processes of a command have left, and completes it: what it was asked for, and how it ended."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.trace.atomic import write_atomically
from harness.trace.reader import Trace, read_trace
from harness.wording import count

if TYPE_CHECKING:
    from harness.tracing.launching import Ended


@dataclass(frozen=True)
class Traced:
    """One training that a command made."""

    name: str
    trace: Trace


def collected(out: Path, ended: Ended, promise: dict[str, Any] | None = None) -> list[Traced]:
    """The traces under a directory, in the order in which their trainings began. `promise` is how their headers hold
    what they are to be judged by."""
    places = sorted(out.glob("trace*/header.json"), key=lambda path: (len(path.parent.name), path.parent.name))
    found = []
    for number, header in enumerate(places):
        _complete(header, ended, promise or {})
        name = json.loads(header.read_text(encoding="utf-8"))["recipe_id"]
        found.append(Traced(name if number == 0 else f"{name}#{number + 1}", read_trace(header.parent)))
    return found


def _complete(header: Path, ended: Ended, promise: dict[str, Any]) -> None:
    """Write into a trace what was asked for, and how the command ended."""
    facts: dict[str, Any] = json.loads(header.read_text(encoding="utf-8"))
    facts = {**facts, **promise}
    write_atomically(header, json.dumps(facts, indent=1, sort_keys=True) + "\n")
    outcome = {"code": ended.status, "ended": ended.told}
    write_atomically(header.parent / "outcome.json", json.dumps(outcome) + "\n")
    measured = {"seconds": {"command": round(ended.seconds, 3)}}
    write_atomically(header.parent / "measured.json", json.dumps(measured) + "\n")


def unobserved(out: Path) -> str:
    """Why nothing was seen, as far as it is known."""
    for said in sorted(out.glob("not-attached-*.txt")):
        return f"the recorder could not begin: {said.read_text(encoding='utf-8').strip().splitlines()[-1]}"
    return "no process of the command met an optimizer, or it cleans its environment and was not reached"


def seen(trace: Trace) -> str:
    """What of a training was looked at, in one line."""
    models = [record for record in trace.of("model") if record["model"] not in trace.replaced]
    sizes = {record["model"]: len(record["path"]) for record in trace.of("parameters")}
    ended = next(iter(trace.of("ended")), {})
    told = Counter(f"{one['type'].rpartition('.')[2]} ({sizes.get(one['model'], 0)} parameters)" for one in models)
    parts = [
        ", ".join(f"{number} times {model}" if number > 1 else model for model, number in told.items()),
        count(len(trace.steps), "optimizer step"),
    ]
    if trace.others:
        parts.append(f"{len(trace.ranks)} processes")
    if ended.get("every", 1) > 1:
        parts.append(f"after the first of them, values at one in {ended['every']}")
    if ended.get("by") == "harness":
        parts.append("ended by --steps")
    elif not trace.closed:
        parts.append("ended early: judged up to there")
    return "; ".join(part for part in parts if part)
