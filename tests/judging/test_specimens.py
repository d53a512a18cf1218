"""Each check is silent on a faultless run, and says the right word on the smallest fault it is there for."""

import importlib
import inspect
import math
import pkgutil
from collections.abc import Callable
from typing import Any

import pytest
import torch

import harness.checks
from harness.checks import CHECKS
from harness.checks.movement import HALF_ULP
from harness.result import Finding, Status
from tests.judging import (
    adapter_specimens,
    data_specimens,
    precision_specimens,
    prompt_specimens,
    rank_specimens,
    saved_specimens,
    steps_specimens,
)

Evidence = Any
Alteration = Callable[[Evidence], object]
LAST = -1
NAN = "nan"

BASE = "base_model.model."
SETTINGS = saved_specimens.SETTINGS | adapter_specimens.SETTINGS | steps_specimens.SETTINGS | data_specimens.SETTINGS
SETTINGS |= precision_specimens.SETTINGS
WARNINGS = adapter_specimens.WARNINGS | precision_specimens.WARNINGS
SETTINGS |= rank_specimens.SETTINGS
Q0, Q1 = f"{BASE}language.layers.0.q_proj", f"{BASE}language.layers.1.q_proj"
CONNECTOR = "connector.modules_to_save.default.weight"
VISION = "vision.norm.weight"
UNDER_ADAPTER, ORIGINAL = "0.q_proj.base_layer.weight", "connector.original_module.weight"
FAILURE = {"kind": "failure", "stage": "save", "error": "E", "message": "m"}
A0, A1, B0 = "0.q_proj.lora_A.default.weight", "1.q_proj.lora_A.default.weight", "0.q_proj.lora_B.default.weight"


def asks(e: Evidence, **settings: Any) -> None:
    """Ask for another adapter than the one that is there."""
    e.intent["adapter"].update(settings)


def optimizer_group(e: Evidence) -> list[list[Any]]:
    return e.one("optimizer")["groups"][0]["parameters"]


def without_adapter_on(e: Evidence, path: str) -> None:
    """The module as it was before the adapter came."""
    modules = e.one("model")["modules"]
    kept = [(p, t) for p, t in zip(modules["path"], modules["type"], strict=True) if not p.startswith(f"{path}.")]
    modules["path"] = [p for p, _ in kept]
    modules["type"] = ["torch.nn.modules.linear.Linear" if p == path else t for p, t in kept]
    del e.one("model")["adapters"][path]


def adapter_on(e: Evidence, path: str) -> None:
    modules = e.one("model")["modules"]
    modules["path"].append(f"{path}.base_layer")
    modules["type"].append("torch.nn.modules.linear.Linear")
    e.one("model")["adapters"][path] = e.one("model")["adapters"][Q0]


def rounds_away(e: Evidence, elements: int) -> None:
    """At its best step, only so many of the four elements that have a gradient change."""
    for step in e.all("optimizer_step"):
        step["values"]["m"]["changed"][e.index(CONNECTOR)] = elements


def trained_bias(e: Evidence, path: str) -> None:
    """Let a weight be a bias that trains."""
    e.put("parameters", "requires_grad", path, True)
    paths = e.one("parameters")["path"]
    paths[e.index(path)] = paths[e.index(path)].replace("weight", "bias")


def rates(e: Evidence, *by_group: float) -> None:
    for step in e.all("optimizer_step"):
        step.update(lr=list(by_group))


def own_group(e: Evidence, path: str) -> None:
    """Move a parameter into a second group of its optimizer."""
    optimizer_group(e).remove(["m", e.index(path)])
    e.one("optimizer")["groups"].append({"parameters": [["m", e.index(path)]]})


def no_gradient(e: Evidence, path: str) -> None:
    e.stays(path)
    for column in ("norm", "nonzero"):
        e.put("gradients", column, path, None, moment="optimizer")


def zero_grad_before_the_last_backward(e: Evidence) -> None:
    last = e.events.index(e.one("backward", LAST))
    e.events.insert(last, {"kind": "zero_grad", "step": 2, "micro": 0, "by": "AdamW"})


def mechanism(e: Evidence, **settings: Any) -> None:
    e.intent["mechanisms"].update(settings)


SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "run.completed": [
        ("RunEnded", "raised", lambda e: e.events.append(FAILURE)),
        ("RunEnded", "killed", lambda e: e.drop("closing")),
        ("RunEnded", "exit status", lambda e: e.outcome.update(code=1)),
        ("RunEnded", "a step too few", lambda e: e.events.remove(e.one("optimizer_step", LAST))),
    ],
    "run.mechanism_active": [
        ("MechanismIdle", "another dtype", lambda e: e.one("forward")["dtypes"].update(Linear=["float32"])),
        ("MechanismIdle", "two dtypes", lambda e: e.one("forward")["dtypes"].update(Linear=["bfloat16", "float32"])),
        ("MechanismIdle", "no linear layer", lambda e: e.one("forward")["dtypes"].pop("Linear")),
        ("MechanismIdle", "scaler disabled", lambda e: e.one("scaler").update(enabled=False)),
        ("MechanismIdle", "scaler never updated", lambda e: e.drop("scaler_update")),
        ("MechanismIdle", "no overflow", lambda e: e.one("optimizer_step").update(skipped=False)),
        ("MechanismIdle", "a micro-batch too few", lambda e: e.events.remove(e.one("backward", LAST))),
        ("MechanismIdle", "nothing recomputed", lambda e: e.one("backward").update(recomputed={})),
        ("MechanismIdle", "a step unclipped", lambda e: e.events.remove(e.one("clip", LAST))),
        ("MechanismIdle", "clipped elsewhere", lambda e: e.one("clip", 1).update(max_norm=2.0)),
        ("MechanismIdle", "no adapter", lambda e: e.one("model").update(adapters={})),
        ("MechanismIdle", "one shard", lambda e: e.saved["tensors"].pop("extra.b")),
    ],
    "base_weights_arrived": [
        ("WeightsNotLoaded", "one key unknown", lambda e: e.header["base"].pop("vision.norm.weight")),
        ("WeightsNotLoaded", "other bits", lambda e: e.put("parameters", "fingerprint", VISION, "other")),
        ("WeightsNotLoaded", "a copy of other bits", lambda e: e.put("parameters", "fingerprint", CONNECTOR, "other")),
        ("WeightsNotLoaded", "other bits under an adapter", lambda e: (
            e.put("parameters", "fingerprint", UNDER_ADAPTER, "other"))),
        ("WeightsNotLoaded", "other bits beside an adapter that rewrites", lambda e: (
            asks(e, init="pissa"), e.put("parameters", "fingerprint", VISION, "other"))),
        ("WeightsNotLoaded", "another dtype", lambda e: e.put("parameters", "dtype", VISION, "bfloat16")),
    ],
    "trainable_set_as_intended": [
        ("WronglyTrainable", "one frozen", lambda e: e.put("parameters", "requires_grad", VISION, True)),
        ("WronglyTrainable", "a fixed one", lambda e: e.intent.update(fixed=["connector\\."])),
        ("WronglyTrainable", "the original", lambda e: e.put("parameters", "requires_grad", ORIGINAL, True)),
        ("WronglyTrainable", "under an adapter", lambda e: e.put("parameters", "requires_grad", UNDER_ADAPTER, True)),
        ("WronglyTrainable", "a bias elsewhere", lambda e: (asks(e, bias="lora_only"), trained_bias(e, VISION))),
        ("WronglyTrainable", "a bias unasked", lambda e: trained_bias(e, UNDER_ADAPTER)),
        ("WronglyFrozen", "one adapter", lambda e: e.put("parameters", "requires_grad", A0, False)),
        ("WronglyFrozen", "the copy", lambda e: e.put("parameters", "requires_grad", CONNECTOR, False)),
    ],
    "frozen_parameters_unchanged": [
        ("FrozenMoved", "one element", lambda e: e.moves(VISION)),
        ("FrozenMoved", "there and back", lambda e: e.moves(VISION, step=0, last=None)),
        ("FrozenMoved", "after the last step", lambda e: e.put("final", "fingerprint", VISION, "moved")),
        ("FrozenMoved", "under an adapter", lambda e: e.moves(UNDER_ADAPTER)),
        ("FrozenMoved", "the original", lambda e: e.moves(ORIGINAL)),
    ],
    "frozen_buffers_unchanged": [
        ("BufferMoved", "one", lambda e: e.one("final").update(buffers=["moved", "c"])),
    ],
    "trainable_parameters_moved": [
        ("NoGradient", "none", lambda e: no_gradient(e, CONNECTOR)),
        ("NoGradient", "zero", lambda e: (e.stays(A0), e.put("gradients", "norm", A0, 0.0, moment="optimizer"))),
        ("DidNotMove", "one", lambda e: e.stays(CONNECTOR)),
        ("DidNotMove", "a rate of zero", lambda e: (e.stays(CONNECTOR), rates(e, 0.0))),
        ("DidNotMove", "a step of twice half an ulp", lambda e: (
            e.stays(CONNECTOR), e.put("parameters", "dtype", CONNECTOR, "bfloat16"), rates(e, 2.0**-7))),
        ("DidNotMove", "zero, then nan", lambda e: (
            e.stays(CONNECTOR),
            e.one("gradients", LAST)["norm"].__setitem__(e.index(CONNECTOR), NAN),
            e.one("gradients", LAST - 2)["norm"].__setitem__(e.index(CONNECTOR), 0.0))),
        ("DidNotMove", "without optimizer", lambda e: (e.stays(B0), optimizer_group(e).remove(["m", e.index(B0)]))),
    ],
    "updates_not_lost_to_rounding": [
        ("UpdateLostToRounding", "less than half", lambda e: rounds_away(e, 1)),
        ("UpdateLostToRounding", "none", lambda e: e.stays(CONNECTOR)),
    ],
    "optimizer_holds_trainables_once": [
        ("NotInOptimizer", "one", lambda e: optimizer_group(e).pop()),
        ("NotInOptimizer", "its namesake of a second model", lambda e: optimizer_group(e)[0].__setitem__(0, "n")),
        ("TwiceInOptimizer", "one", lambda e: optimizer_group(e).append(["m", e.index(A0)])),
        ("TwiceInOptimizer", "two optimizers", lambda e: e.events.append(
            {"kind": "optimizer", "optimizer": "p", "groups": [{"parameters": [["m", e.index(A0)]]}]})),
        ("FrozenInOptimizer", "one", lambda e: optimizer_group(e).append(["m", e.index(VISION)])),
    ],
    "losses_finite": [
        ("LossNotFinite", "nan", lambda e: e.one("forward", LAST).update(loss=NAN)),
        ("LossNotFinite", "infinite", lambda e: e.one("forward", 1).update(loss="inf")),
        ("LossNotFinite", "on the way to backward", lambda e: e.one("backward").update(value=NAN)),
        ("LossMissing", "one", lambda e: (
            e.one("forward", LAST).update(loss=None), e.one("backward", LAST).update(value=None))),
    ],
    "gradients_finite": [
        ("GradientNotFinite", "one", lambda e: e.one("gradients", LAST)["norm"].__setitem__(e.index(A1), NAN)),
        ("GradientNotFinite", "in a second model", lambda e: e.one("gradients", LAST)["norm"].extend([0.5, NAN])),
        ("GradientNotFinite", "infinite", lambda e: e.put("gradients", "norm", A1, "-inf", moment="optimizer")),
    ],
    "gradients_zeroed_once_per_step": [
        ("StaleGradients", "one left", lambda e: e.one("backward", LAST - 1).update(stale=1)),
        ("GradientsLost", "zeroed between", zero_grad_before_the_last_backward),
    ],
    "adapters_where_intended": [
        ("AdapterOutside", "in the tower", lambda e: (
            asks(e, targets=["q_proj"]), adapter_on(e, f"{BASE}vision.layers.0.q_proj"))),
        ("AdapterMissing", "on one layer", lambda e: without_adapter_on(e, Q1)),
        ("AdapterMissing", "in a whole component", lambda e: asks(e, components=["language", "vision"])),
        ("AdapterUnasked", "one", lambda e: adapter_on(e, f"{BASE}language.layers.0.fc")),
        ("TargetMeetsNothing", "target", lambda e: asks(e, targets=["language.layers.0.q_proj", "1.q_proj", "W"])),
        ("TargetMeetsNothing", "exclusion", lambda e: asks(e, exclude=["tower"])),
    ],
    "adapter_numbers_as_asked": [
        ("AdapterNumbers", "rank", lambda e: e.one("model")["adapters"][Q1]["r"].update(default=8)),
        ("AdapterNumbers", "scaling", lambda e: e.one("model")["adapters"][Q1]["scaling"].update(default=2.0001)),
        ("AdapterNumbers", "dropout", lambda e: e.one("model")["adapters"][Q1]["dropout"].update(default=0.1)),
        ("AdapterNumbers", "pattern ignored", lambda e: asks(e, rank_pattern={"0.q_proj": 8})),
        ("AdapterNumbers", "rslora ignored", lambda e: asks(e, rslora=True)),
        ("AdapterNumbers", "numbers unknown", lambda e: e.one("model")["adapters"][Q1].clear()),
        ("AdapterNumbers", "one unknown", lambda e: e.one("model")["adapters"][Q1].pop("dropout")),
    ],
    "samples_in_order": [
        ("SampleSubstituted", "another", lambda e: e.one("forward", LAST)["samples"].__setitem__(1, "sample-0-0")),
        ("SampleSubstituted", "a stranger", lambda e: e.one("forward")["samples"].__setitem__(0, "?")),
        ("SampleSubstituted", "a row dropped", lambda e: e.one("forward", LAST)["samples"].pop()),
        ("SampleSubstituted", "a row too many", lambda e: e.one("forward")["samples"].append("sample-0-0")),
        ("SampleSubstituted", "a micro-batch dropped", lambda e: e.events.remove(e.one("forward", LAST))),
        ("SampleSubstituted", "a micro-batch too many", lambda e: e.events.insert(-1, e.one("forward"))),
        ("SampleSubstituted", "no ids seen", lambda e: [event.pop("samples") for event in e.all("forward")]),
    ],
    "labels_present": [
        ("NoLabels", "one micro-batch", lambda e: e.one("forward", LAST).update(labels=0)),
    ],
    "pixels_matter": [
        ("PixelsIgnored", "equal", lambda e: e.probe("other_pixels").update(largest_difference=0.0)),
    ],
    "saved_directory_loads": [
        ("WrongBase", "another", lambda e: e.reloaded.update(adapter_fit="no module", model_error="ValueError: m")),
        ("DirectoryDoesNotLoad", "error", lambda e: e.reloaded.update(model_error="OSError: no file")),
        ("KeysLost", "missing", lambda e: e.reloaded.update(missing=["a"])),
        ("KeysLost", "unexpected", lambda e: e.reloaded.update(unexpected=["a"])),
        ("KeysLost", "of another shape", lambda e: e.reloaded.update(mismatched=["a"])),
        ("KeysLost", "of the adapter", lambda e: e.reloaded.update(adapter_warnings=["missing keys: a"])),
        ("OtherClass", "one", lambda e: e.reloaded.update(model_class="DemoModel")),
    ],
    "reloaded_parameters_equal": [
        ("ParametersDiffer", "one", lambda e: e.reloaded["fingerprints"].update({f"{BASE}{CONNECTOR}": "start-3"})),
        ("ParametersDiffer", "a frozen one", lambda e: e.reloaded["fingerprints"].update({f"{BASE}{VISION}": "?"})),
        ("ParametersDiffer", "gone", lambda e: e.reloaded["fingerprints"].pop(f"{Q0}.lora_B.default.weight")),
    ],
    "reloaded_outputs_equal_image": [
        ("OutputsDiffer", "image", lambda e: e.reloaded["outputs"].update(image="?")),
        ("OutputsDiffer", "error", lambda e: e.reloaded.update(outputs_error="RuntimeError: m")),
    ],
    "reloaded_outputs_equal_text": [
        ("OutputsDiffer", "text", lambda e: e.reloaded["outputs"].update(text="?")),
        ("OutputsDiffer", "gone", lambda e: e.reloaded["outputs"].pop("text")),
    ],
    "processor_reloads": [
        ("ProcessorLost", "tokenizer", lambda e: e.reloaded.update(processor_class="DemoTokenizerFast")),
        ("ProcessorLost", "none", lambda e: (
            e.reloaded.pop("processor_class"), e.reloaded.update(processor_error="OSError: m"))),
        ("ProcessorLost", "does not encode", lambda e: e.reloaded.update(processor_error="ValueError: m")),
        ("ProcessorDiffers", "other pixels", lambda e: e.reloaded["encoded"]["image"].update(pixel_values="?")),
        ("ProcessorDiffers", "other tokens", lambda e: e.reloaded["encoded"]["text"].update(input_ids="?")),
        ("ProcessorDiffers", "pixels gone", lambda e: e.reloaded["encoded"]["image"].pop("pixel_values")),
        ("ProcessorDiffers", "batch gone", lambda e: e.reloaded["encoded"].pop("text")),
    ],
}  # fmt: skip

SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "run.completed": [
        ("the intent names no number", lambda e: (e.intent.update(steps=None), e.drop("optimizer_step"))),
    ],
    "run.mechanism_active": [
        ("nothing asked for", lambda e: (
            mechanism(e, autocast=None, loss_scaler=False, checkpointing=False, clip_norm=None),
            e.drop("clip", "scaler", "scaler_update"))),
        ("no overflow on purpose", lambda e: (
            mechanism(e, overflow=False), e.one("optimizer_step").update(skipped=False))),
    ],
    "base_weights_arrived": [
        ("an adapter is not in the base", lambda e: e.put("parameters", "fingerprint", A0, "any")),
        ("rewritten where the adapter came", lambda e: (
            asks(e, init="pissa"), e.put("parameters", "fingerprint", UNDER_ADAPTER, "any"))),
    ],
    "trainable_set_as_intended": [
        ("a bias under an adapter", lambda e: (asks(e, bias="lora_only"), trained_bias(e, UNDER_ADAPTER))),
        ("any bias", lambda e: (asks(e, bias="all"), trained_bias(e, VISION))),
        ("a fixed one of a component that trains", lambda e: (
            e.intent.update(fixed=["connector\\."]), e.put("parameters", "requires_grad", CONNECTOR, False))),
    ],
    "frozen_parameters_unchanged": [("what trains may move", lambda e: e.moves(A0))],
    "frozen_buffers_unchanged": [("of a tuned component", lambda e: e.one("final").update(buffers=["v", "moved"]))],
    "trainable_parameters_moved": [
        ("out of reach", lambda e: (e.intent.update(out_of_reach=["connector"]), no_gradient(e, CONNECTOR))),
        ("LoRA's A at the first effective step", lambda e: (
            e.one("optimizer_step", 1).update(skipped=True), e.stays(A0), e.stays(A1))),
        ("a step below half an ulp", lambda e: (
            e.stays(CONNECTOR), e.put("parameters", "dtype", CONNECTOR, "bfloat16"), rates(e, 2.0**-8))),
    ],
    "updates_not_lost_to_rounding": [
        ("exactly half", lambda e: rounds_away(e, 2)),
        ("few elements with a gradient", lambda e: (
            rounds_away(e, 1), e.put("gradients", "nonzero", CONNECTOR, 2, moment="optimizer"))),
        ("a rate of zero", lambda e: (e.stays(CONNECTOR), rates(e, 0.0))),
        ("a second optimizer of fewer groups", lambda e: (
            own_group(e, CONNECTOR), rates(e, 0.0, 0.0),
            e.one("optimizer_step", LAST).update(optimizer="p", lr=[1.0]))),
        ("a rate of zero in its own group", lambda e: (
            e.stays(CONNECTOR), own_group(e, CONNECTOR), rates(e, 0.01, 0.0))),
    ],
    "optimizer_holds_trainables_once": [
        ("described anew", lambda e: e.events.append(dict(e.one("optimizer")))),
        ("a parameter of no model", lambda e: optimizer_group(e).append(None)),
        ("a parameter of a second model", lambda e: optimizer_group(e).append(["n", e.index(VISION)])),
    ],
    "losses_finite": [
        ("an evaluation", lambda e: e.one("forward").update(training=False, loss=NAN)),
        ("computed outside the model", lambda e: e.one("forward").update(loss=None)),
    ],
    "gradients_finite": [
        ("caught by the scaler", lambda e: (
            e.one("optimizer_step", 1).update(skipped=True),
            e.one("gradients", 2)["norm"].__setitem__(e.index(A0), "inf"))),
        ("before the optimizer", lambda e: e.put("gradients", "norm", A0, NAN, moment="backward")),
    ],
    "gradients_zeroed_once_per_step": [
        ("left over from before training", lambda e: e.one("backward").update(stale=3)),
        ("zeroed before the first backward", lambda e: e.events.insert(0, e.one("zero_grad"))),
        ("zeroed twice after a step", lambda e: e.events.append(e.one("zero_grad"))),
    ],
    "adapters_where_intended": [
        ("both components meant", lambda e: (
            asks(e, components=["language", "vision"], targets=["q_proj"]),
            adapter_on(e, f"{BASE}vision.layers.0.q_proj"))),
        ("left out by an exclusion", lambda e: (
            asks(e, exclude=["layers.1.q_proj"]), without_adapter_on(e, Q1))),
    ],
    "adapter_numbers_as_asked": [
        ("as the patterns say", lambda e: (
            asks(e, rank_pattern={"1.q_proj": 8}, alpha_pattern={"1.q_proj": 32}),
            e.one("model")["adapters"][Q1].update(r={"default": 8}, scaling={"default": 4.0}))),
        ("no scaling asked for", lambda e: (
            asks(e, alpha=None), e.one("model")["adapters"][Q1]["scaling"].update(default=3.0))),
        ("rslora", lambda e: (
            asks(e, rslora=True),
            [facts["scaling"].update(default=8 / math.sqrt(4)) for facts in e.one("model")["adapters"].values()])),
    ],
    "samples_in_order": [
        ("an evaluation", lambda e: e.events.insert(
            e.events.index(e.one("forward")), {"kind": "forward", "training": False, "samples": ["?"]})),
        ("a run that ended early", lambda e: (e.drop("closing"), e.events.remove(e.one("forward", LAST)))),
    ],
    "labels_present": [
        ("none given to the model", lambda e: e.one("forward").pop("labels")),
        ("an evaluation", lambda e: e.one("forward").update(training=False, labels=0)),
    ],
    "pixels_matter": [("the least difference", lambda e: e.probe("other_pixels").update(largest_difference=1e-30))],
    "saved_directory_loads": [("any class", lambda e: (
        e.intent["save"].update(model_class=None), e.reloaded.update(model_class="X")))],
    "reloaded_parameters_equal": [
        ("the original of a copy", lambda e: e.reloaded["fingerprints"].update({f"{BASE}{ORIGINAL}": "?"})),
        ("more than was trained", lambda e: e.reloaded["fingerprints"].update(extra="?")),
    ],
    "reloaded_outputs_equal_image": [("text differs", lambda e: e.reloaded["outputs"].update(text="?"))],
    "reloaded_outputs_equal_text": [("image differs", lambda e: e.reloaded["outputs"].update(image="?"))],
    "processor_reloads": [("inputs that training had not", lambda e: e.reloaded["encoded"]["text"].update(mask="m"))],
}  # fmt: skip

SPECIMENS |= saved_specimens.SPECIMENS | adapter_specimens.SPECIMENS | data_specimens.SPECIMENS
SILENT |= saved_specimens.SILENT | adapter_specimens.SILENT | data_specimens.SILENT
SPECIMENS |= precision_specimens.SPECIMENS
SILENT |= precision_specimens.SILENT
SPECIMENS |= precision_specimens.SPECIMENS | steps_specimens.SPECIMENS
SILENT |= precision_specimens.SILENT | steps_specimens.SILENT
for more in (rank_specimens, prompt_specimens):
    for name, rows in more.SPECIMENS.items():
        SPECIMENS.setdefault(name, []).extend(rows)
    for name, silent in more.SILENT.items():
        SILENT.setdefault(name, []).extend(silent)
SHIPPED = [check.name for check in CHECKS]


def flat(table: dict[str, list[tuple[Any, ...]]]) -> list[Any]:
    """One parameter per row of a table."""
    return [
        pytest.param(check, *row, id=f"{check}-{'-'.join(part for part in row if isinstance(part, str))}")
        for check, rows in table.items()
        for row in rows
    ]


def kinds_of_findings() -> set[str]:
    modules = [
        importlib.import_module(f"harness.checks.{found.name}")
        for found in pkgutil.iter_modules(harness.checks.__path__)
    ]
    return {
        name
        for module in modules
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Finding) and kind.__module__ == module.__name__
    }


@pytest.mark.parametrize("check", SHIPPED)
def test_a_faultless_run_passes(evidence: Evidence, check: str) -> None:
    SETTINGS.get(check, lambda _: None)(evidence)
    result = evidence.judged(check)

    assert (result.status, result.reason, result.findings) == (Status.PASSED, "", ())


@pytest.mark.parametrize(("check", "kind", "what", "alter"), flat(SPECIMENS))
def test_a_fault_is_found(evidence: Evidence, check: str, kind: str, what: str, alter: Alteration) -> None:
    alter(evidence)
    result = evidence.judged(check)

    assert result.status is (Status.WARNED if kind in WARNINGS else Status.FAILED), what
    assert {finding.kind for finding in result.findings} == {kind}
    assert all(finding.expected and finding.seen and finding.where for finding in result.findings)


@pytest.mark.parametrize(("check", "what", "alter"), flat(SILENT))
def test_what_is_no_fault_is_not_found(evidence: Evidence, check: str, what: str, alter: Alteration) -> None:
    alter(evidence)
    result = evidence.judged(check)

    assert (result.status, result.findings) == (Status.PASSED, ()), what


def test_every_check_has_specimens_of_both_kinds() -> None:
    assert set(SPECIMENS) == set(SILENT) == set(SHIPPED)


def test_every_kind_of_finding_has_a_specimen() -> None:
    found = kinds_of_findings()

    assert found == {kind for rows in SPECIMENS.values() for kind, _, _ in rows}
    assert len(found) > 20


def test_the_size_of_a_difference_in_outputs_is_told(evidence: Evidence) -> None:
    evidence.reloaded["outputs"]["image"] = "?"
    (finding,) = evidence.judged("reloaded_outputs_equal_image").findings

    assert finding.seen == "logits off by 0.5 (the largest is 1)"


def test_a_sample_out_of_place_is_named(evidence: Evidence) -> None:
    evidence.one("forward", 3)["samples"][1] = "sample-0-0"
    (finding,) = evidence.judged("samples_in_order").findings

    assert (finding.expected, finding.seen, finding.where) == ("sample 3b", "sample 0a", "micro-batch 3, row 1")


def test_what_is_missing_of_the_data_is_named(evidence: Evidence) -> None:
    evidence.one("forward", 2)["samples"].pop()
    evidence.events.remove(evidence.one("forward", LAST))
    (finding,) = evidence.judged("samples_in_order").findings

    assert (finding.expected, finding.where) == ("sample 2b", "micro-batch 2, row 1")
    assert finding.seen == "no sample, and 2 more rows differ"


def test_a_finding_counts_and_lists_what_it_found(evidence: Evidence) -> None:
    for path in ("vision.layers.0.q_proj.weight", VISION):
        evidence.moves(path, elements=3)
    evidence.moves("0.fc.weight")
    vision, language = evidence.judged("frozen_parameters_unchanged").findings

    assert vision.seen == "2 parameters changed, 6 elements at most at one step"
    assert vision.where == "vision.layers.0.q_proj.weight, vision.norm.weight"
    assert language.seen == "1 parameter changed, 1 element at most at one step"


@pytest.mark.parametrize(
    ("check", "alter", "seen"),
    [
        ("losses_finite", lambda e: [one.update(loss=NAN) for one in e.all("forward")], "and 5 more"),
        ("losses_finite", lambda e: [one.update(value=NAN) for one in e.all("backward")], "and 5 more"),
        ("labels_present", lambda e: [one.update(labels=0) for one in e.all("forward")], "and at 5 more"),
        ("gradients_finite", lambda e: e.put("gradients", "norm", A0, NAN, moment="optimizer"), "1 gradient"),
    ],
    ids=["losses", "backward", "labels", "gradients"],
)
def test_a_fault_at_every_step_is_one_finding(evidence: Evidence, check: str, alter: Alteration, seen: str) -> None:
    alter(evidence)
    (finding,) = evidence.judged(check).findings

    assert seen in finding.seen


@pytest.mark.parametrize(
    ("outcome", "seen"),
    [
        ({}, "the stream has no closing record"),
        ({"ended": "killed by signal 9", "code": -9}, "killed by signal 9"),
        ({"ended": "exited with 1", "code": 1, "last_output": "Boom"}, "exited with 1; it said: Boom"),
    ],
    ids=["unknown", "killed", "with last words"],
)
def test_how_a_process_ended_is_told(evidence: Evidence, outcome: dict[str, Any], seen: str) -> None:
    evidence.drop("closing")
    evidence.outcome = outcome
    (finding,) = evidence.judged("run.completed").findings

    assert finding.seen == seen
    assert finding.where == "stage start, after 3 optimizer steps"


def test_how_much_was_lost_to_rounding_is_told(evidence: Evidence) -> None:
    rounds_away(evidence, 1)
    (finding,) = evidence.judged("updates_not_lost_to_rounding").findings

    assert finding.seen == "1 of 4 elements changed (25.00 %), in float32"
    assert "0.01" in finding.cause


@pytest.mark.parametrize("dtype", HALF_ULP)
def test_half_an_ulp_follows_from_the_precision(dtype: str) -> None:
    assert HALF_ULP[dtype] == torch.finfo(getattr(torch, dtype)).eps / 2
