"""What was saved loads, and is what was trained."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.checks.adapter_form import as_saved
from harness.checks.adapter_rounding import allowed_in_logits
from harness.checks.half_saved import come_back
from harness.checks.needs import Closed, Images, Loaded, Probe, Reload, SavedProcessor
from harness.checks.registry import check
from harness.result import Finding
from harness.wording import by_component, count, listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace

OUTPUTS = Probe(probe="outputs")


ANOTHER = "saved from another class or under other key names, or the configuration has another size than its weights"
WHY_LOST = {
    "missing": f"{ANOTHER}; or a shard lacks tensors",
    "unexpected": f"{ANOTHER}; or its class makes their modules later, or only where a path says so",
    "mismatched": ANOTHER,
}
"""Why keys are lost, by what becomes of them."""


class DirectoryDoesNotLoad(Finding):
    """A saved directory that a fresh process cannot load."""


class WrongBase(Finding):
    """An adapter that its base has no modules for."""


class KeysLost(Finding):
    """Keys that loading missed or did not know: those parameters come back as something else, without an exception."""


class OtherClass(Finding):
    """Another class came back than was saved."""


class ParametersDiffer(Finding):
    """Parameters that come back with other bits."""


class OutputsDiffer(Finding):
    """The loaded model gives other logits than the trained one."""


class ProcessorLost(Finding):
    """The saved directory gives back no processor, or another one."""


class ProcessorDiffers(Finding):
    """The processor that comes back makes other inputs."""


@check(
    "the saved directory loads in a fresh process, with every key known",
    source="MGM #103, #63: unused weights, another class",
    needs=[Closed, Reload],
)
def saved_directory_loads(intent: Intent, trace: Trace) -> Iterator[Finding]:
    reloaded = _reloaded(trace)
    if fit := reloaded.get("adapter_fit"):
        yield WrongBase(
            expected="a base that has the modules the adapter is for",
            seen=fit,
            where="adapter_config.json: base_model_name_or_path",
            cause="the adapter was trained on another model, or on this one under other names",
            do="harness inspect ADAPTER --base BASE shows what would fit",
        )
        return
    if error := reloaded.get("model_error"):
        yield DirectoryDoesNotLoad(
            expected=f"a model from {reloaded.get('loader', 'the public Auto classes')}",
            seen=error,
            where="the saved directory",
            cause="a file is missing or damaged, or the configuration names code that is not there",
        )
        return
    composed = intent.save.what in ("partial", "projector")  # what was not trained comes from the base
    for what in ("missing", "unexpected", "mismatched"):
        keys = reloaded[what]
        if composed and what == "missing":
            keys = [key for key in keys if _trains(intent, trace.naming.canonical(key))]
        if what == "missing":
            keys = [key for key in keys if not intent.is_left_out(trace.naming.canonical(key))]
        if keys:
            yield KeysLost(
                expected=f"no {what} keys",
                seen=count(len(keys), f"{what} key"),
                where=listed(keys),
                cause=WHY_LOST[what],
            )
    if warnings := [said for said in reloaded.get("adapter_warnings", ()) if not _mistaken(intent, said)]:
        yield KeysLost(expected="every adapter key loaded", seen=warnings[0], where="the adapter's file")
    if intent.save.model_class and reloaded["model_class"] != intent.save.model_class:
        yield OtherClass(
            expected=intent.save.model_class,
            seen=reloaded["model_class"],
            where="config.json",
            cause="the configuration is another model's: the class was chosen by a path, or the file was copied",
        )


@check(
    "every parameter comes back with the bits it had",
    source="MiniCPM-V #272: trained modules that were not in the save",
    needs=[Closed, Loaded],
)
def reloaded_parameters_equal(intent: Intent, trace: Trace) -> Iterator[Finding]:
    reloaded = _reloaded(trace)
    naming = trace.naming
    back = {naming.canonical(path): value for path, value in reloaded["fingerprints"].items()}
    ours = {p.key: p for p in trace.parameters if p.role != "original"}
    last = {p.index: p.last for p in ours.values()} | as_saved(intent, trace) | come_back(intent, trace)
    differing = [
        (p.component, key)
        for key, p in ours.items()
        if key in back and last[p.index] is not None and back[key] != last[p.index]
    ]
    absent = [(p.component, key) for key, p in ours.items() if key not in back and last[p.index] is not None]
    for pairs, seen in ((differing, "with other bits"), (absent, "not there")):
        for component, keys in by_component(pairs).items():
            yield ParametersDiffer(
                expected=f"{component}: as it was when training ended",
                seen=f"{count(len(keys), 'parameter')} {seen}",
                where=listed(keys),
                cause="not in the save, saved before the last step, or saved in another precision",
            )


@check(
    "the loaded model gives equal logits on a batch with an image",
    source="peft #2574: a saved adapter is silently not loaded",
    needs=[Images, Closed, OUTPUTS, Loaded],
)
def reloaded_outputs_equal_image(intent: Intent, trace: Trace) -> Iterator[Finding]:
    yield from _equal_outputs(intent, trace, "image")


@check(
    "the loaded model gives equal logits on a batch of text alone",
    source="MiniCPM-V #559: the result is identical to the base",
    needs=[Closed, OUTPUTS, Loaded],
)
def reloaded_outputs_equal_text(intent: Intent, trace: Trace) -> Iterator[Finding]:
    yield from _equal_outputs(intent, trace, "text")


@check(
    "the processor comes back as itself and makes equal inputs",
    source="MiniCPM-V #601, #408: AutoProcessor falls back to the tokenizer when preprocessor files are missing",
    needs=[Closed, Reload, SavedProcessor],
)
def processor_reloads(intent: Intent, trace: Trace) -> Iterator[Finding]:
    reloaded, wanted = _reloaded(trace), intent.save.processor_class
    seen = reloaded.get("processor_class")
    if seen != wanted:
        fell_back = seen is not None and "Tokenizer" in seen
        yield ProcessorLost(
            expected=str(wanted),
            seen=f"{seen}: AutoProcessor fell back to the tokenizer"
            if fell_back
            else reloaded.get("processor_error") or str(seen),
            where=_processor_files(trace),
            cause="the trainer saved the tokenizer, not the processor",
            do="processor.save_pretrained(directory), or: harness inspect DIRECTORY --base BASE --repair",
        )
        return
    if error := reloaded.get("processor_error"):
        yield ProcessorLost(expected="a processor that encodes", seen=error, where="the saved directory")
        return
    for batch, inputs in _encoded(trace).items():
        back = reloaded["encoded"].get(batch, {})
        gone = [name for name in inputs if name not in back]
        other = [name for name, value in inputs.items() if back.get(name, value) != value]
        for what, names in (("no", gone), ("other", other)):
            if names:
                yield ProcessorDiffers(
                    expected="the same inputs as the processor that fed the training",
                    seen=f"{what} {listed(names)} on the {batch} sample",
                    where="the saved processor",
                    cause="settings or vocabulary were changed between training and saving",
                )


class GenerationDiffers(Finding):
    """The loaded model says something else."""


@check(
    "the loaded model generates the same ids, greedily",
    source="MiniCPM-V #220: nothing, or an empty answer, after loading",
    needs=[Closed, Probe(probe="generated"), Loaded],
)
def reloaded_generation_equal(intent: Intent, trace: Trace) -> Iterator[Finding]:
    reloaded, probe = _reloaded(trace), trace.probe("generated")
    assert probe is not None
    if "outputs_error" in reloaded:
        yield GenerationDiffers(expected="ids", seen=reloaded["outputs_error"], where="the loaded model")
        return
    for batch, ids in probe["ids"].items():
        if (back := reloaded["generated"].get(batch)) != ids:
            yield GenerationDiffers(
                expected=f"{ids} on the {batch} sample, as before saving",
                seen=str(back),
                where="the loaded model's generate",
                cause="other weights, another generation configuration, or another end token",
            )


def _encoded(trace: Trace) -> dict[str, dict[str, Any]]:
    """What the processor that fed the training made of each prompt; of a script's nobody knows."""
    return next((event["batches"] for event in trace.of("encoded")), {})


def _trains(intent: Intent, key: str) -> bool:
    return intent.names_as_trained(key) and not intent.is_fixed(key)


def _reloaded(trace: Trace) -> dict[str, Any]:
    assert trace.reloaded is not None
    return trace.reloaded


def _processor_files(trace: Trace) -> str:
    """The processor's files that the base has and the saved directory lacks."""
    roles = trace.header.get("base_roles") or {}
    there = trace.inventory["files"] if trace.inventory else {}
    files = {file for role in ("processor", "image processor", "code") for file in roles.get(role, ())}
    missing = sorted(files - set(there))
    return f"missing from the saved directory: {listed(missing, 5)}" if missing else "the processor's files"


def _mistaken(intent: Intent, warning: str) -> bool:
    """Since peft #3588, rank patterns are held against LoRA's rule: AdaLoRA's, keyed by parameter, are said to
    be ignored, and are followed all the same. Whether they were is seen parameter by parameter."""
    return intent.adapter is not None and intent.adapter.method == "adalora" and "rank_pattern" in warning


def _equal_outputs(intent: Intent, trace: Trace, batch: str) -> Iterator[Finding]:
    """Bit for bit; but an adapter that is saved in another form, such as without its masked ranks, rounds elsewhere."""
    reloaded, probe = _reloaded(trace), trace.probe("outputs")
    assert probe is not None
    if error := reloaded.get("outputs_error"):
        yield OutputsDiffer(expected="logits", seen=error, where=f"the loaded model on the {batch} batch")
    elif reloaded["outputs"].get(batch) != probe["fingerprint"].get(batch):
        apart, largest, seen = _difference(trace, probe, reloaded, batch)
        allowed = allowed_in_logits(intent.weights, largest) if as_saved(intent, trace) else 0.0
        if intent.save.half:  # as many units as where everything is computed in fp16
            allowed = allowed_in_logits("float16", largest)
        if not 0 < apart <= allowed:
            yield OutputsDiffer(
                expected=f"the same logits within {allowed:.3g}" if allowed else "bit-equal logits",
                seen=seen,
                where=f"the {batch} batch",
                cause="what was trained is not what was saved, or not what was loaded",
            )


def _difference(trace: Trace, probe: dict[str, Any], reloaded: dict[str, Any], batch: str) -> tuple[float, float, str]:
    """How large the difference is, from the logits kept beside the streams, the largest logit, and both in words."""
    import numpy as np

    from harness.trace.arrays import read_arrays

    before = read_arrays(Path(trace.directory) / f"rank-{trace.rank}" / probe["arrays"])[batch]
    after = read_arrays(Path(trace.directory) / "reload" / reloaded["arrays"])[batch]
    if before.shape != after.shape:
        return math.inf, math.nan, f"logits of shape {after.shape} instead of {before.shape}"
    apart, largest = float(np.max(np.abs(before - after))), float(np.max(np.abs(before)))
    return apart, largest, f"logits off by {apart:.3g} (the largest is {largest:.3g})"
