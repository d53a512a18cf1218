"""Goldens as text for people, and as plain data for programs."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.golden.drift import ASPECTS
from harness.golden.index import MOST_BYTES, Entry, is_whole
from harness.golden.stacks import Shelf
from harness.golden.verifying import Status, Verified
from harness.wording import count

_SHOWN = 4  # of what changed, before the rest is counted


def verdict_line(found: Verified, width: int = 0) -> str:
    """A golden on a line: what became of it, and how it was compared."""
    rules = sum(found.by_rule.values())
    allowed = f"; {count(rules, 'difference')} by rule" if rules else ""
    allowed += "".join(f"; known: {one.reason}" for one in found.excused)
    said = {
        Status.HOLDS: f"holds: {found.tolerances}{allowed}",
        Status.DRIFTED: f"drifted: {', '.join(drift.aspect for drift in found.drifts)}",
    }
    took = f"    {found.seconds:.1f} s" if found.seconds else ""
    return f"{found.recipe_id.ljust(width)}    {said.get(found.status, found.status.value)}{took}"


def failure_lines(found: Verified, again: str) -> list[str]:
    """What is wrong with a golden, line by line; nothing for one that holds."""
    if found.status is Status.HOLDS:
        return []
    if found.status is not Status.DRIFTED:
        return [f"FAILED  {found.recipe_id}: {found.status.value}: {found.reason}"]
    lines = [f"DRIFTED  {found.recipe_id}", _titled("triage", found.change.word)]
    if found.change.environment:
        lines.append(_titled("around", _some(found.change.environment)))
    if found.change.code:
        since = f" since commit {found.commit[:10]}" if found.commit else " since it was pinned"
        lines.append(_titled("code", _some(found.change.code) + since))
    lines.append(_titled("first", found.drifts[0].first))
    for drift in found.drifts:
        more = f" and in {drift.places - 1} more places" if drift.places > 1 else ""
        lines.append(_titled(drift.aspect, f"{drift.first}{more}"))
    kept = [name for name in ASPECTS if name not in {drift.aspect for drift in found.drifts} and name != "run"]
    if kept and all(drift.aspect != "run" for drift in found.drifts):
        lines.append(_titled("same", f"{', '.join(kept)} ({found.tolerances})"))
    lines += [_titled("by rule", f"{rule} ({places})") for rule, places in found.by_rule.items()]
    lines += [_titled("known", f"{one.reason} ({one.link})") for one in found.excused]
    return [*lines, _titled("again", again)]


def closing_line(verdicts: Sequence[Verified], seconds: float) -> str:
    """The counts."""
    words = {status: sum(one.status is status for one in verdicts) for status in Status}
    said = {Status.HOLDS: "holds" if words[Status.HOLDS] == 1 else "hold"}
    parts = [f"{number} {said.get(status, status.value)}" for status, number in words.items() if number]
    return f"{count(len(verdicts), 'golden')}: {', '.join(parts) or 'none'}    {seconds:.1f} s"


def verify_again(recipe_id: str, golden: Path) -> str:
    """The command that verifies one golden and leaves both traces."""
    where = "" if golden == Path("golden") else f" --golden {shlex.quote(str(golden))}"
    return f"harness golden verify --recipe {shlex.quote(recipe_id)}{where} --out golden-out"


def report_rows(shelves: Sequence[Shelf]) -> list[list[str]]:
    """A row per golden: what it holds, its size, when and on what it was pinned, and whether its file is whole."""
    head = ["golden", "saves", "kB", "pinned", "commit", "made with", "file"]
    goldens = ((one, name, entry) for one in shelves for name, entry in one.goldens.items())
    return [head, *([one.name(name), *_columns(one.folder, entry)] for one, name, entry in goldens)]


def report_line(goldens: Collection[Entry], unknown: Collection[str], left: Collection[str]) -> str:
    """How many goldens there are and how large they are; archives that are none."""
    total = sum(entry.bytes for entry in goldens)
    line = f"{count(len(goldens), 'golden')}, {total / 1e6:.1f} MB of at most {MOST_BYTES / 1e6:.0f} MB"
    line += f"; unused: {', '.join(unknown)}" if unknown else ""
    return line + (f"; left by an interrupted pin: {', '.join(left)}" if left else "")


def state_of(folder: Path, entry: Entry) -> str:
    if not (folder / entry.file).exists():
        return Status.MISSING.value
    return "whole" if is_whole(folder, entry) else Status.UNREADABLE.value


def as_data(found: Verified) -> dict[str, Any]:
    """A verdict as plain data."""
    change = {**asdict(found.change), "triage": found.change.word} if found.status is Status.DRIFTED else None
    facts = asdict(found)
    return {**facts, "status": found.status.value, "change": change}


def _columns(folder: Path, entry: Entry) -> list[str]:
    commit = (entry.commit or "none")[:10] + (" dirty" if entry.dirty else "")
    threads = count(entry.threads, "thread")
    stack = f"torch {entry.torch}, transformers {entry.transformers}, {entry.cpu_capability}, {threads}"
    return [entry.saves, f"{entry.bytes / 1e3:.0f}", entry.pinned, commit, stack, state_of(folder, entry)]


def _titled(title: str, text: str) -> str:
    return f"  {title.ljust(9)} {text}"


def _some(lines: Sequence[str]) -> str:
    more = f" and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return ", ".join(lines[:_SHOWN]) + more
