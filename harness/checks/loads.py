"""What is laid over a model arrives there: parts of earlier stages, loaded by name and without strictness."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from harness.checks.adapter_saved import Paths
from harness.checks.loads_needs import Continued, Loads
from harness.checks.needs import Parameters
from harness.checks.registry import check
from harness.result import Finding
from harness.wording import count, listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


class NothingLoaded(Finding):
    """A state dict of which not one key met the model, without an exception."""


class KeysLeftOver(Finding):
    """Keys of a state dict that the model does not know, and that were dropped without an exception."""


class AdapterNotContinued(Finding):
    """Parameters of an adapter that do not begin as the earlier run has saved them."""


@check(
    "what is laid over the model meets it, key by key",
    source="MGM #31, #39: mm_projector.bin loaded before its modules exist; minimind-v #75: nothing loaded",
    needs=[Loads],
)
def parts_meet_the_model(intent: Intent, trace: Trace) -> Iterator[Finding]:
    before, after = trace.base_reloaded or {}, trace.reloaded or {}
    for moment, loads in (
        ("in training", [load for load in trace.of("load") if not load["strict"]]),
        ("as a stranger loads the start", before.get("parts", ())),
        ("as a stranger loads the result", after.get("parts", ())),
    ):
        yield from _left_over(moment, loads)


def _left_over(moment: str, loads: Iterable[dict[str, Any]]) -> Iterator[Finding]:
    for load in loads:
        keys, matched = load["keys"], load["matched"]
        where = f"{load.get('file') or 'load_state_dict of ' + load['module']}, {moment}"
        if not matched:
            yield NothingLoaded(
                expected=f"{count(keys, 'key')} that the model knows" if keys else "keys",
                seen=f"none of them: the model has no {listed(load['unexpected'])}" if keys else "an empty file",
                where=where,
                cause="loaded with strict=False before its modules exist, or under the names of another class",
                do="build the modules first, and look at what load_state_dict returns",
            )
        elif load["unexpected"]:
            yield KeysLeftOver(
                expected=f"{count(keys, 'key')} that the model knows",
                seen=f"{count(keys - matched, 'key')} left over",
                where=f"{where}: {listed(load['unexpected'])}",
                cause="strict=False drops what it does not know; part of the modules did not exist yet",
                do="build the modules first, and look at what load_state_dict returns",
            )


@check(
    "an adapter that is continued begins as it was saved",
    source="MiniCPM-V #559: the result is the base's; a second stage that began with a new adapter",
    needs=[Continued, Parameters],
)
def adapter_continues_as_saved(intent: Intent, trace: Trace) -> Iterator[Finding]:
    paths = Paths(trace)
    saved = {paths.saved(key): prints for key, prints in trace.header["adapter"].items()}
    own = [p for p in trace.parameters if p.role in ("adapter", "copy")]
    known = {p.path: saved.get(paths.saved(_unwrapped(p.path))) for p in own}
    absent = [p.path for p in own if known[p.path] is None]
    differing = [p.path for p in own if (prints := known[p.path]) is not None and prints.get(p.dtype) != p.first]
    for found, seen in ((absent, "not in the saved adapter"), (differing, "other values than were saved")):
        if found:
            yield AdapterNotContinued(
                expected=f"{count(len(own), 'parameter')} of the adapter as they were saved",
                seen=f"{len(found)} {seen}",
                where=listed(found),
                cause="a new adapter was made, or the file's keys did not meet this one",
                do="PeftModel.from_pretrained(model, DIRECTORY, is_trainable=True)",
            )


def _unwrapped(path: str) -> str:
    return path.removeprefix("base_model.model.")
