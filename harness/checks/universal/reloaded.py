"""What was saved comes back in a fresh process: it loads, it is what was trained, and it computes the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from harness.checks.adapter_rounding import LOGITS, allowed_in_logits
from harness.checks.saved import ProcessorLost, saved_directory_loads
from harness.checks.universal.registry import Absent, universal
from harness.intent import Intent, SaveIntent
from harness.result import Finding, Severity
from harness.trace.naming import unwrapped
from harness.wording import count, listed

if TYPE_CHECKING:
    from harness.trace.reader import Record, Trace

AREAS = ("reload", "saves")
BATCH = "batch"
SAVED = Intent(save=SaveIntent(what="full"))
HALF = {"BF16": "bfloat16", "F16": "float16"}


class NotAsSaved(Finding):
    """Parameters that come back with other values than the model had when it was saved."""


class SavedRounded(Finding):
    """Parameters that come back rounded to fewer bits than they had."""


class NotThere(Finding):
    """Parameters that the model had when it was saved, and that what comes back has not."""


class SavedEarly(Finding):
    """A newest directory that holds an earlier step than the last."""


class OtherOutputs(Finding):
    """A model that comes back and gives other outputs."""


def _again(trace: Trace) -> Absent | None:
    return None if trace.reloaded else Absent.NOT_RELOADED


def _came_back(trace: Trace) -> Absent | None:
    there = trace.reloaded is not None and "fingerprints" in trace.reloaded and _saved(trace) is not None
    return None if there else Absent.NOT_RELOADED if trace.reloaded is None else Absent.NOT_LOADED


def _saved(trace: Trace) -> Record | None:
    """What went into the directory that was loaded."""
    loaded = next((event for event in trace.reload if event["kind"] == "loaded_directory"), None)
    ranks = [rank for rank in trace.ranks if loaded and rank.rank == loaded["rank"]]
    return ranks[0].of("saved_directory")[loaded["number"]] if loaded and ranks else None


@universal(
    "the newest saved directory loads in a fresh process, with every key known",
    source="MGM #103, #63: unused weights, another class; a save that lacks a tensor",
    areas=AREAS,
    about=_again,
    covers="saved_directory_loads",
)
def saved_directory_comes_back(trace: Trace) -> Iterator[Finding]:
    yield from saved_directory_loads(SAVED, trace)


@universal(
    "what comes back has the values that the model had in the end",
    source="MiniCPM-V #559: the saved model is the base; a state dict that was taken before the last step",
    areas=AREAS,
    about=_came_back,
    covers="reloaded_parameters_equal",
)
def values_come_back(trace: Trace) -> Iterator[Finding]:
    saved, reloaded = _saved(trace), trace.reloaded
    assert saved is not None
    assert reloaded is not None
    back = {unwrapped(path): print_ for path, print_ in reloaded["fingerprints"].items()}
    known = back.keys() | {unwrapped(tied) for group in reloaded["ties"].values() for tied in group}
    held = {unwrapped(path): (print_, dtype) for path, print_, dtype in _columns(saved)}
    if absent := [path for path in held if path not in known]:
        yield NotThere(
            expected="every parameter that was saved",
            seen=f"{count(len(absent), 'parameter')} not in what comes back",
            where=listed(absent),
            cause="the class that comes back is another one, or makes these parts later",
        )
    judged, unlike = _judged(trace, saved), _unlike(trace, saved)
    other = [
        path
        for path, (print_, _) in held.items()
        if path in unlike or (back.get(path, print_) != print_ and path in judged)
    ]
    rounded = [path for path in other if _stored(trace, path) in HALF and held[path][1] not in HALF.values()]
    for kind, paths, cause, severity in (
        (NotAsSaved, [one for one in other if one not in rounded], _why(trace, saved, back, other), Severity.ERROR),
        (SavedRounded, rounded, "weights are turned into 16 bits on their way to the file", Severity.WARNING),
    ):
        if paths:
            yield kind(
                expected="the bits that the model had when it was saved",
                seen=f"{count(len(paths), 'parameter')} with other values",
                where=f"{saved['directory']}: {listed(paths)}",
                cause=cause,
                severity=severity,
            )
    since = _steps_since(trace, saved)
    if since and not _as_in_the_end(trace, saved):
        yield SavedEarly(
            expected="the weights after the last step in the newest directory",
            seen=f"those before the last {count(since, 'step')}",
            where=saved["directory"],
            cause="saved at an interval of steps, and not at the end",
            severity=Severity.WARNING,
        )


def _unlike(trace: Trace, saved: Record) -> set[str]:
    """Of a save by a process that has a part of each parameter: what it was given to save that the model did not hold.
    Of what lies elsewhere it can be told of the last save, where all that the model held here it held in the end."""
    unlike, elsewhere = (set(map(unwrapped, saved.get(name, ()))) for name in ("unlike", "elsewhere"))
    known = _last(trace, saved["model"])
    at_end = {unwrapped(path): known.get(unwrapped(path), ("", ""))[1] == print_ for path, print_, _ in _columns(saved)}
    last = not _steps_since(trace, saved) and all(same or path in unlike | elsewhere for path, same in at_end.items())
    return unlike | {path for path in elsewhere if last and path in known and not at_end[path]}


def _columns(saved: Record) -> list[tuple[str, str, str]]:
    return list(zip(saved["path"], saved["fingerprint"], saved["dtype"], strict=True))


def _steps_since(trace: Trace, saved: Record) -> int:
    return len(trace.steps) - int(saved["steps"]) if saved["model"] is not None else 0


def _last(trace: Trace, ident: str | None) -> dict[str, tuple[str, str]]:
    """By path, the fingerprints of a model's parameters when it was found and in the end."""
    described = next((one for one in trace.of("parameters") if one["model"] == ident), None)
    final = next((one for one in trace.of("final") if one["model"] == ident), None)
    if described is None or final is None:
        return {}
    pairs = zip(described["fingerprint"], final["fingerprint"], strict=True)
    return dict(zip(map(unwrapped, described["path"]), pairs, strict=True))


def _as_in_the_end(trace: Trace, saved: Record) -> bool:
    """Whether the model was saved with the values that it had in the end."""
    known = _last(trace, saved["model"])
    return all(known.get(unwrapped(path), ("", print_))[1] == print_ for path, print_, _ in _columns(saved))


def _judged(trace: Trace, saved: Record) -> set[str]:
    """Paths that come back in the dtype they had: all is loaded in that of most, but for adapters."""
    usual = Counter(dtype for dtype in saved["dtype"] if "float" in dtype).most_common(1)
    described = next((one for one in trace.of("parameters") if one["model"] == saved["model"]), None)
    roles = dict(zip(described["path"], described["role"], strict=True)) if described else {}
    return {
        unwrapped(path)
        for path, _, dtype in _columns(saved)
        if (usual and dtype == usual[0][0]) or roles.get(path) == "adapter"
    }


def _why(trace: Trace, saved: Record, back: dict[str, str], other: list[str]) -> str:
    first = {path: begun for path, (begun, _) in _last(trace, saved["model"]).items()}
    if other and all(back.get(path) == first.get(path) for path in other):
        return "what lies in the file is from before training: a state dict that was copied too early"
    return "what lies in the file is not what the model held: an earlier copy, or a file that was written over"


def _stored(trace: Trace, path: str) -> str:
    """The dtype in which a parameter lies in the saved files: by its name, or that of all where they have one."""
    tensors: dict[str, Any] = (trace.inventory or {}).get("tensors", {})
    named = {unwrapped(key): facts["dtype"] for key, facts in tensors.items()}
    kinds = set(named.values())
    return str(named.get(path, kinds.pop() if len(kinds) == 1 else ""))


def _compared(trace: Trace) -> Absent | None:
    known = (_saved(trace) or {}).get("model") is not None and _outputs(trace) is not None
    if (absent := _came_back(trace)) or not known or any(map(_is_error, values_come_back(trace))):
        return absent or Absent.NO_OUTPUTS
    return None if _as_in_the_end(trace, _saved(trace) or {}) else Absent.NO_OUTPUTS


def _is_error(finding: Finding) -> bool:
    return finding.severity is Severity.ERROR or isinstance(finding, SavedRounded)


def _outputs(trace: Trace) -> tuple[Trace, Record] | None:
    """What the model made of a batch in the end, and the process that saw it."""
    return next(((rank, event) for rank in trace.ranks for event in rank.of("outputs_at_end")), None)


@universal(
    "what comes back gives the outputs that the model gave in the end, on a batch of the training",
    source="peft #2574: a saved adapter is silently not loaded",
    areas=AREAS,
    about=_compared,
)
def outputs_come_back(trace: Trace) -> Iterator[Finding]:
    import numpy as np

    from harness.trace.arrays import read_arrays

    found, reloaded = _outputs(trace), trace.reloaded
    assert found is not None
    assert reloaded is not None
    if error := reloaded.get("outputs_error"):
        yield OtherOutputs(expected="outputs on a batch of the training", seen=error, where="what comes back")
        return
    rank, event = found
    before = read_arrays(trace.directory / f"rank-{rank.rank}" / event["arrays"])[BATCH]
    after = read_arrays(trace.directory / "reload" / reloaded["arrays"])[BATCH]
    dtype = next((one for one in (_saved(trace) or {})["dtype"] if one in LOGITS), "float32")
    largest = float(np.abs(before).max(initial=0.0))
    allowed = allowed_in_logits(dtype, largest)
    apart = float(np.abs(before - after).max(initial=0.0)) if before.shape == after.shape else float("inf")
    if not apart <= allowed:
        yield OtherOutputs(
            expected=f"outputs within {allowed:.3g} of those in the end",
            seen=f"off by {apart:.3g}; the largest is {largest:.3g}",
            where="a batch of the training",
            cause="a setting, a buffer or code that is not saved with the weights",
        )


def _sees(trace: Trace) -> Absent | None:
    if absent := _again(trace):
        return absent
    there = "processor_class" in (trace.reloaded or {}) or "processor_error" in (trace.reloaded or {})
    return None if there else Absent.NO_PICTURES


@universal(
    "the processor of a model that sees comes back",
    source="MiniCPM-V #601, #408: AutoProcessor falls back to the tokenizer when preprocessor files are missing",
    areas=AREAS,
    about=_sees,
    covers="processor_reloads",
)
def processor_comes_back(trace: Trace) -> Iterator[Finding]:
    reloaded = trace.reloaded or {}
    seen = reloaded.get("processor_class")
    if seen is not None and "Tokenizer" not in seen:
        return
    beside = "tokenizer_class" in reloaded  # without even a tokenizer, it may be meant to lie elsewhere
    yield ProcessorLost(
        expected="a processor, for the model was trained on pictures",
        seen=f"{seen}: AutoProcessor fell back to the tokenizer" if seen else reloaded.get("processor_error", "none"),
        where="the newest saved directory",
        cause="the trainer saved the tokenizer, not the processor" if beside else "the model alone was saved",
        do="processor.save_pretrained(directory), or: harness inspect DIRECTORY --base BASE --repair",
        severity=Severity.ERROR if beside else Severity.WARNING,
    )
