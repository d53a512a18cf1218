"""Holds one check against one recipe's evidence and says one word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.result import NOT_HERE, SWITCHED_OFF, Result, Severity, Status
from harness.wording import count

if TYPE_CHECKING:
    from harness.checks.registry import Check
    from harness.intent import Intent
    from harness.trace.reader import Trace


def judge(
    check: Check,
    recipe: str,
    intent: Intent,
    trace: Trace,
    partners: Mapping[str, Trace] | None = None,
    weight: str | None = None,
) -> Result:
    """The result of a check on a trace; pure, and the same each time. What is there is named by the intent.

    With a `weight`, warning or error, that is what each finding weighs, whatever the check says.
    """
    trace = trace.named_by(intent.naming)
    for need in check.needs:
        if refusal := need.refusal(intent):
            return Result(recipe, check.name, Status.NOT_APPLICABLE, refusal.value)
    for need in check.needs:
        if missing := need.missing(intent, trace):
            return Result(recipe, check.name, Status.BLOCKED, missing)
    wanted = _partners_of(check, intent, partners or {})
    if isinstance(wanted, str):
        return Result(recipe, check.name, Status.BLOCKED, wanted)
    findings = tuple(check.judge(intent, trace, **wanted))
    if weight:
        findings = tuple(replace(finding, severity=Severity(weight)) for finding in findings)
    failed = any(finding.severity is Severity.ERROR for finding in findings)
    unlike = [] if failed else [need.incomparable(intent, wanted) for need in check.needs]
    whose = _loaded_by(check, trace)
    if reason := next(filter(None, unlike), ""):
        return Result(recipe, check.name, Status.NOT_COMPARABLE, reason)
    if not findings:
        return Result(recipe, check.name, Status.PASSED, whose)
    status = Status.FAILED if failed else Status.WARNED
    reason = count(len(findings), "finding")
    return Result(recipe, check.name, status, f"{reason}; {whose}" if whose else reason, findings)


def _partners_of(check: Check, intent: Intent, there: Mapping[str, Trace]) -> dict[str, Trace] | str:
    """The traces of the partner runs by name, or what keeps one from being looked at."""
    wanted: dict[str, Trace] = {}
    for need in check.partners:
        partner = there.get(need.name)
        if partner is None or not partner.closed:
            return f"partner run {need.name} did not complete"
        if missing := need.missing_of(partner):
            return f"partner run {need.name}: {missing}"
        wanted[need.name] = partner.named_by(intent.naming)
    return wanted


def _loaded_by(check: Check, trace: Trace) -> str:
    """Whose code loaded what the check looks at, if that was a user's: what it says rests on that code."""
    save = (trace.header.get("recipe") or {}).get("save") or {}
    loaders = [save[name] for name in ("loader", "processor_loader") if save.get(name)]
    return f"loaded by {' and '.join(loaders)}" if loaders and (check.reload or check.base) else ""


def switched_off(check: str, recipe: str, reason: str) -> Result:
    """The result of a check that its user does not want made, with the user's own reason."""
    return Result(recipe, check, Status.NOT_APPLICABLE, f"{SWITCHED_OFF}{reason}")


def not_here(check: str, recipe: str, what: str) -> Result:
    """The result of a check on a recipe that the installed libraries are too old for."""
    return Result(recipe, check, Status.NOT_APPLICABLE, f"{NOT_HERE}{what}")


def judge_all(checks: Iterable[Check], recipe: str, intent: Intent, trace: Trace) -> list[Result]:
    """The results of several checks on one trace, in order."""
    return [judge(check, recipe, intent, trace) for check in checks]
