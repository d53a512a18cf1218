"""The saved weights are the trained ones, under their published names, and what is shared is stored once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from harness.checks.expected import should_train
from harness.checks.half_saved import in_file
from harness.checks.needs import BaseIfThere, Closed, Loaded, Parameters, SavesWeights
from harness.checks.registry import check
from harness.result import Finding
from harness.wording import by_component, count, listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.parameter import Parameter
    from harness.trace.reader import Trace

# As torch and as safetensors call them.
SAFETENSORS = {"float32": "F32", "bfloat16": "BF16", "float16": "F16", "float64": "F64"}


class TensorNotSaved(Finding):
    """Parameters that should be in the save and are not."""


class TensorDiffers(Finding):
    """Saved tensors with other bits than the parameter had when training ended."""


class TensorUnasked(Finding):
    """Saved tensors that the recipe did not ask for."""


class FrozenSavedAltered(Finding):
    """Frozen parameters that were saved with other bits than the base has."""


class TiedWrongly(Finding):
    """Parameters that share one tensor and should not, or should and do not."""


class StoredTwice(Finding):
    """A shared tensor that lies in the save under more than one name."""


@check(
    "trained parameters are saved with their final bits under their published names, frozen ones as in the base",
    source="MiniCPM-V #272, #243: modules were trained and not saved",
    needs=[Closed, Parameters, SavesWeights, BaseIfThere],
)
def saved_tensors_as_trained(intent: Intent, trace: Trace) -> Iterator[Finding]:
    saved = saved_by_key(trace)
    wanted = {p.key: p for p in trace.parameters if _should_be_there(intent, p)}
    tied = {name for group in _ties_in_training(trace) for name in group[1:]}
    absent = [(p.component, key) for key, p in wanted.items() if key not in saved and key not in tied]
    halved = in_file(intent, trace)
    other = [(p.component, key) for key, p in wanted.items() if key in saved and not _same(saved[key], p, halved)]
    for component, keys in by_component(absent).items():
        yield TensorNotSaved(
            expected=f"{component}: in the save",
            seen=f"{count(len(keys), 'parameter')} missing",
            where=listed(keys),
            cause="saved before the modules were added, filtered out by name, or kept in a Python list: no state dict "
            "holds what lies there",
        )
    for component, keys in by_component(other).items():
        yield TensorDiffers(
            expected=f"{component}: as it was when training ended",
            seen=f"{count(len(keys), 'tensor')} with other bits or another dtype",
            where=listed(keys),
            cause="saved before the last step, or in another precision",
        )
    yield from _unasked(trace, saved, set(wanted))
    yield from _frozen(intent, trace, saved, wanted)


def _should_be_there(intent: Intent, parameter: Parameter) -> bool:
    """A whole model's parameters all; of a part those that train, and those that its file is for."""
    if intent.is_left_out(parameter.key):
        return False
    if intent.save.what not in ("partial", "projector"):
        return True
    return should_train(intent, parameter) or intent.is_held(parameter.key)


def _unasked(trace: Trace, saved: Mapping[str, Any], wanted: set[str]) -> Iterator[Finding]:
    buffers = {trace.naming.canonical(path) for path in next(trace.in_force("buffers"), {"path": ()})["path"]}
    tied = {name for group in _ties_in_training(trace) for name in group}
    if unasked := sorted(set(saved) - wanted - buffers - tied):
        yield TensorUnasked(
            expected="the model's own tensors, and of a partial save the trained ones alone",
            seen=f"{count(len(unasked), 'tensor')} more",
            where=listed(unasked),
            cause="left over from an earlier save, or saved under the names of a wrapper",
        )


def _frozen(
    intent: Intent, trace: Trace, saved: Mapping[str, Any], wanted: Mapping[str, Parameter]
) -> Iterator[Finding]:
    base = trace.header.get("base") or {}
    altered = [
        (p.component, key)
        for key, p in wanted.items()
        if key in saved and key in base and not should_train(intent, p) and not intent.is_resized(key)
        if base[key].get("float16" if intent.save.half else p.dtype) != saved[key]["fingerprint"]
    ]
    for component, keys in by_component(altered).items():
        yield FrozenSavedAltered(
            expected=f"{component}: saved as the base has it",
            seen=f"{count(len(keys), 'frozen tensor')} with other bits",
            where=listed(keys),
            cause="changed in training, or converted on the way to the file",
        )


ORIGINAL = ".original_module."  # within peft's wrapper of a module that it keeps a copy of


@check(
    "weights are tied as the model is published, stored once, and tied again after loading",
    source="minimind #681: shared tensors on save_pretrained; MiniMind: the tie is lost when weights are materialised",
    needs=[Closed, Parameters, Loaded],
)
def ties_kept(intent: Intent, trace: Trace) -> Iterator[Finding]:
    published = {frozenset(group) for group in intent.ties}
    seen = {
        "while training": _ties_in_training(trace),
        "after loading": _groups((trace.reloaded or {})["ties"], trace),
    }
    for moment, groups in seen.items():
        for keys in sorted(map(sorted, {frozenset(group) for group in groups} ^ published)):
            shared = frozenset(keys) in published
            yield TiedWrongly(
                expected=f"{' and '.join(keys)} {'share one tensor' if shared else 'apart'} {moment}",
                seen="apart" if shared else "one tensor",
                where="the model's parameters",
                cause="tie_word_embeddings in the configuration, or weights replaced after they were tied",
            )
    saved = saved_by_key(trace)
    for group in intent.ties if intent.save.what != "native" else ():  # a state dict names it under each of its names
        if len(stored := [key for key in group if key in saved]) > 1:
            yield StoredTwice(expected="a shared tensor stored once", seen=listed(stored), where="the weight files")


def saved_by_key(trace: Trace) -> dict[str, Any]:
    """The saved tensors under canonical keys."""
    tensors = trace.inventory["tensors"] if trace.inventory else {}
    return {trace.naming.canonical(key): facts for key, facts in tensors.items()}


def _ties_in_training(trace: Trace) -> list[tuple[str, ...]]:
    return _groups(trace.described.get("ties", {}), trace)


def _groups(ties: Mapping[str, list[str]], trace: Trace) -> list[tuple[str, ...]]:
    """Canonical keys that share a tensor; an adapter's kept copy has the key of its original and is no tie: what is
    tied is the original. What an adapter shares among its own layers is its own."""
    added = {p.key for p in trace.parameters if p.role == "adapter"}
    paths = ((path.replace(ORIGINAL, ".") for path in (first, *others)) for first, others in ties.items())
    named = [tuple(dict.fromkeys(map(trace.naming.canonical, group))) for group in paths]
    return [group for group in named if len(group) > 1 and not added.issuperset(group)]


def _same(facts: Mapping[str, Any], parameter: Parameter, halved: Mapping[int, str]) -> bool:
    last, dtype = halved.get(parameter.index, parameter.last), parameter.dtype
    wanted = SAFETENSORS["float16" if parameter.index in halved else dtype]
    return bool(facts["fingerprint"] == last and facts["dtype"] == wanted)
