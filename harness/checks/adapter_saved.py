"""The file of an adapter holds the adapter, all of it and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from harness.checks.adapter_form import PROMPT, as_saved, is_left_out, is_prompt
from harness.checks.adapter_needs import AdapterSaved
from harness.checks.expected import should_train
from harness.checks.half_saved import in_file
from harness.checks.needs import AnAdapter, Closed, Parameters
from harness.checks.registry import check
from harness.checks.saved_tensors import SAFETENSORS
from harness.result import Finding, Severity
from harness.wording import count, listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.parameter import Parameter
    from harness.trace.reader import Trace

EMBEDDINGS = ("embeddings", "lm_head")


class AdapterTensorMissing(Finding):
    """Trained parameters that the adapter's file does not hold."""


class GrownNotSaved(Finding):
    """Embeddings that grew with added tokens, did not train, and are not in the adapter's file."""


class AdapterTensorDiffers(Finding):
    """Tensors of the adapter's file that are not the parameters as training left them."""


class BaseTensorInAdapter(Finding):
    """Tensors in the adapter's file that belong to no adapter."""


@check(
    "the adapter's file holds exactly what was trained, bit for bit",
    source="MiniCPM-V #272: trained modules that were not in the adapter; peft #2092: weights of the base that were",
    needs=[AnAdapter, Parameters, Closed, AdapterSaved],
)
def adapter_file_holds_adapter_only(intent: Intent, trace: Trace) -> Iterator[Finding]:
    assert trace.inventory is not None
    paths = Paths(trace)
    tensors = {paths.saved(key): (key, facts) for key, facts in trace.inventory["tensors"].items()}
    known = {name: p for p in trace.parameters for name in paths.names(p)}
    wanted = [p for p in trace.parameters if _belongs(intent, p) and not is_left_out(intent, p)]
    absent = [p for p in wanted if not tensors.keys() & paths.names(p)]
    if missing := [p.path for p in absent if p.requires_grad or p.role == "copy"]:
        yield AdapterTensorMissing(
            expected=count(len(wanted), "tensor"),
            seen=f"{len(missing)} not there",
            where=listed(missing),
            cause="modules_to_save does not name them, or the save filters by name",
        )
    if grown := [p.path for p in absent if intent.is_resized(p.key) and p.path not in missing]:
        yield GrownNotSaved(
            expected="embeddings that grew with added tokens, with the adapter",
            seen=f"{count(len(grown), 'tensor')} not there: loading has to make the same new rows again",
            where=listed(grown),
            cause="peft looks for vocab_size at the top of the configuration alone",
            do="save_pretrained(directory, save_embedding_layers=True)",
            severity=Severity.WARNING,
        )
    parts, half = {**as_saved(intent, trace), **in_file(intent, trace)}, intent.save.half
    differing = [
        key for name, (key, facts) in tensors.items() if name in known and _differs(known[name], parts, facts, half)
    ]
    if differing:
        yield AdapterTensorDiffers(
            expected="every tensor as training left it",
            seen=f"{count(len(differing), 'tensor')} with other bits, or in another dtype",
            where=listed(differing),
            cause="saved before the last step, or converted",
        )
    permitted = {
        name for p in trace.parameters if _belongs(intent, p) or _may_come(intent, p) for name in paths.names(p)
    }
    strangers = [key for name, (key, _) in tensors.items() if name not in permitted and not _is_drawn(intent, name)]
    if strangers:
        yield BaseTensorInAdapter(
            expected="tensors of the adapter and of the modules kept beside it",
            seen=count(len(strangers), "other tensor"),
            where=listed(strangers),
            cause="save_embedding_layers, or a state dict of the whole model was handed to the save",
        )


class Paths:
    """One name for a parameter's path in memory and its key in the file, where peft leaves its own parts out."""

    def __init__(self, trace: Trace) -> None:
        assert trace.model is not None
        adapters = trace.model["adapters"].values()
        labels = {label for facts in adapters for values in facts.values() for label in values} or {"default"}
        own = "|".join(re.escape(label) for label in sorted(labels))
        self._left_out = re.compile(rf"\.(?:base_layer|modules_to_save|{own})(?=\.|$)")
        self._ties: dict[str, list[str]] = trace.described.get("ties", {})

    def saved(self, path: str) -> str:
        """The weight is the module's own tensor: releases differ in whether DoRA's says so."""
        return self._left_out.sub("", path).removesuffix(".weight")

    def names(self, parameter: Parameter) -> set[str]:
        """All names of a parameter: one that modules share is saved under any of them, a prompt under peft's."""
        if is_prompt(parameter):
            return {PROMPT}
        return {self.saved(path) for path in (parameter.path, *self._ties.get(parameter.path, ()))}


def _belongs(intent: Intent, parameter: Parameter) -> bool:
    """Whether the parameter is the adapter's, or was trained or grown beside it."""
    if parameter.role == "original":
        return False
    return should_train(intent, parameter) or parameter.role == "copy" or intent.is_resized(parameter.key)


def _may_come(intent: Intent, parameter: Parameter) -> bool:
    """What peft saves though it did not train: every bias under bias `all`, an embedding under an adapter, and of an
    embedding that has grown the original beside the copy."""
    assert intent.adapter is not None
    if intent.is_resized(parameter.key):
        return True
    if intent.adapter.bias == "all" and parameter.path.endswith(".bias"):
        return True
    return parameter.component in EMBEDDINGS and ".base_layer." in parameter.path


def _is_drawn(intent: Intent, name: str) -> bool:
    """Whether the tensor is one that the method has drawn at random and keeps: it bears the method's name."""
    assert intent.adapter is not None
    return any(part.startswith(f"{intent.adapter.method}_") for part in name.split("."))


def _differs(parameter: Parameter, parts: dict[int, str | None], facts: dict[str, Any], half: bool) -> bool:
    last = parts.get(parameter.index, parameter.last)
    dtype = SAFETENSORS.get("float16" if half else parameter.dtype)
    return facts["dtype"] != dtype or last not in (
        None,
        facts["fingerprint"],
    )
