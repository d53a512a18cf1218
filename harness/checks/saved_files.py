"""What was saved is complete, agrees with itself, and holds no pickle."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from harness.checkpoint.files import PROJECTOR
from harness.checkpoint.missing import missing_roles
from harness.checks.needs import Base, Closed, Reload
from harness.checks.registry import check
from harness.result import Finding
from harness.wording import count, listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace

PROCESSING = ("processor", "image processor")
OF_TOKENIZER = ("tokenizer", "tokenizer configuration", "special tokens")
OF_PROCESSOR = (*PROCESSING, "chat template")


TOKENIZER_INSTEAD = "the trainer saved the tokenizer, not the processor"
NO_SAVE = "nothing was saved: the loop saves at an interval of steps that the run does not come to"


class FileMissing(Finding):
    """A file that the base directory has, that the recipe promises, and that was not saved."""


class CodeMissing(Finding):
    """Code files that a saved configuration names and that are not beside it."""


class FilesDisagree(Finding):
    """Files of a saved directory that contradict each other."""


class Pickled(Finding):
    """A file that would run code when it is loaded the usual way."""


class DirectoryNotListed(Finding):
    """A saved directory of which not even the files can be listed."""


@check(
    "the saved directory has every file that its base has: configurations, tokenizer, processor, chat template, code",
    source="MiniCPM-V #601, #767: preprocessor_config.json was the last missing file",
    needs=[Closed, Base, Reload],
)
def saved_directory_complete(intent: Intent, trace: Trace) -> Iterator[Finding]:
    saved = trace.inventory
    if saved is None:
        yield _not_listed(trace)
        return
    for role in _promised(intent, missing_roles(trace.header["base_roles"], saved["roles"], _kind(intent))):
        yield FileMissing(
            expected=_expected(role, trace.header["base_roles"]),
            seen="no file that plays this role",
            where="the saved directory",
            cause=_why_missing(role, saved["roles"]),
            do="processor.save_pretrained(directory), or: harness inspect DIRECTORY --base BASE --repair",
        )
    for name in [name for name in intent.save.files if name not in saved["files"]]:
        yield FileMissing(
            expected=f"{name}: who reads the directory looks for it",
            seen="no file of this name",
            where="the saved directory",
            cause="this release of the libraries writes what it holds into another file, or into none",
            do="write it beside the others, as the base directory has it",
        )
    if missing := saved["code"]["missing"]:
        yield CodeMissing(
            expected="every code file that the saved configurations name",
            seen=f"{count(len(missing), 'file')} missing",
            where=listed(missing),
            cause="save_pretrained copies code only for classes that were registered for an Auto class",
            do="copy them from the base, or: harness inspect DIRECTORY --base BASE --repair",
        )


@check(
    "the saved files agree: configuration, index and shards",
    source="MGM #103: an index of shards that lack tensors",
    needs=[Closed, Reload],
)
def saved_files_agree(intent: Intent, trace: Trace) -> Iterator[Finding]:
    if trace.inventory is None:
        yield _not_listed(trace)
        return
    for problem in trace.inventory["problems"]:
        yield FilesDisagree(expected="files that agree with each other", seen=problem, where="the saved directory")


OF_A_STEP, NO_FILE = re.compile(r"global_step\d+/"), re.compile(r"(?!)")  # DeepSpeed's shards have no other format


@check(
    "nothing is pickled, unless the recipe asks for a native state dict or a part in that format",
    source="torch.load runs whatever a pickle says; MiniCPM-V's vpm_resampler_embedtokens.pt was one",
    needs=[Closed, Reload],
)
def nothing_pickled(intent: Intent, trace: Trace) -> Iterator[Finding]:
    if trace.inventory is None:
        yield _not_listed(trace)
        return
    weights = trace.inventory["roles"].get("weights", ()) if intent.save.pickled else ()
    known = {*trace.inventory["roles"].get("trainer", ()), *weights, *_pickles_asked_for(intent)}
    pickled = [name for name, facts in trace.inventory["files"].items() if facts.get("pickled")]
    shards = OF_A_STEP if intent.save.shards else NO_FILE
    if asked_for := [name for name in pickled if name not in known and not shards.match(name)]:
        yield Pickled(
            expected="weights in safetensors files",
            seen=f"{count(len(asked_for), 'pickle')}",
            where=listed(asked_for),
            cause="torch.save, or save_pretrained(safe_serialization=False)",
            do="save with safetensors; whoever loads such a file trusts whoever wrote it",
        )


def _pickles_asked_for(intent: Intent) -> set[str]:
    """The files of torch.save that the recipe means to leave, as the trainers of its kind do."""
    of_kind = {"native": intent.save.native_file, "projector": PROJECTOR}.get(_kind(intent))
    return {name for name in (of_kind, intent.save.beside_adapter) if name}


def _kind(intent: Intent) -> str:
    if intent.save.own_format:
        return "native"
    return "adapter and trainables" if intent.save.beside_adapter else intent.save.what


def _why_missing(role: str, saved: Collection[str]) -> str:
    if role in PROCESSING and "tokenizer" in saved:
        return TOKENIZER_INSTEAD
    return NO_SAVE if role.endswith("weights") else "the trainer did not write it"


def _not_listed(trace: Trace) -> Finding:
    return DirectoryNotListed(
        expected="a directory whose files can be listed",
        seen=(trace.reloaded or {}).get("inventory_error", "no inventory"),
        where="the saved directory",
        cause=NO_SAVE,
    )


def _expected(role: str, base_roles: dict[str, list[str]]) -> str:
    files = base_roles.get(role)
    return f"{role}: {listed(files)}, as in the base directory" if files else role


def _promised(intent: Intent, missing: list[Any]) -> list[str]:
    """The roles that the recipe means to save, of those that are missing."""
    absent = set() if intent.save.processor_class else set(OF_PROCESSOR)
    absent |= set() if intent.save.tokenizer else {*OF_TOKENIZER, "chat template"}
    return [str(role) for role in missing if role not in absent]
