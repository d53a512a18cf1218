"""What a trace is judged by: what was given, else what it was recorded with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.intent import Intent
from harness.intents.applying import applied
from harness.intents.file import IntentFile
from harness.intents.reading import intent_from

if TYPE_CHECKING:
    from harness.intents.reading import Promise
    from harness.trace.reader import Trace

IN_HEADER = "intent_file"
"""Under which name a trace's header holds an intent file in words; one in full is under `intent`."""


def judged_by(trace: Trace, given: Any = None) -> Intent:
    """The intent for a trace: of what was given (a promise, or settings), else of its header. Raises Refused."""
    where = str(trace.directory / "header.json")
    if given is None:
        given = trace.header.get(IN_HEADER) or trace.header.get("intent")
    else:
        where = f"{trace.directory}: intent"
    return applied(intent_from(given, where), trace)


def in_header(promise: Promise) -> dict[str, Any]:
    """How the header of a trace holds what it was recorded with."""
    name = "intent" if isinstance(promise, Intent) else IN_HEADER
    return {name: promise.model_dump(mode="json", exclude_unset=name == IN_HEADER)}


def loader_of(promise: Promise) -> str | None:
    """The function `module:function` that gives the model of a saved directory, if the intent file names one."""
    return promise.save.loader if isinstance(promise, IntentFile) and promise.save else None


def trusts_code(promise: Promise) -> bool:
    """Whether an intent file says, in as many words, that code in a saved directory may run."""
    return isinstance(promise, IntentFile) and promise.trust_remote_code
