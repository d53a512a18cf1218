"""Specimens of a run and its training: what was loaded, what trains, what moved, and what the optimizer held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Evidence = Any
Alteration = Callable[[Evidence], object]

LAST = -1
NAN = "nan"
BASE = "base_model.model."
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


def goes_on(rate: float) -> Alteration:
    """The connector's bf16 elements round back where a process goes on with a schedule that began at this rate."""

    def alter(e: Evidence) -> None:
        rounds_away(e, 1)
        e.put("parameters", "dtype", CONNECTOR, "bfloat16")
        asked = {"learning_rate": rate, "schedule": "linear"}
        e.intent.update(first_step=3, effective_before=3, optimization=asked)

    return alter


def rounds_away(e: Evidence, elements: int) -> None:
    """At its best step, only so many of the four elements that have a gradient change."""
    for step in e.all("optimizer_step"):
        step["values"]["m"]["changed"][e.index(CONNECTOR)] = elements


def seen_by_a_fused_optimizer(e: Evidence) -> None:
    """One that is given the gradients of the step that it then skips: all of them infinite, or no numbers."""
    last = e.all("gradients")[LAST]
    e.events.insert(0, {**last, "step": 0, "norm": ["nan"] * len(last["norm"]), "nonzero": [4] * len(last["nonzero"])})


def trained_bias(e: Evidence, path: str) -> None:
    """Let a weight be a bias that trains."""
    e.put("parameters", "requires_grad", path, True)
    paths = e.one("parameters")["path"]
    paths[e.index(path)] = paths[e.index(path)].replace("weight", "bias")


def only_residue(e: Evidence, part: float) -> None:
    """The gradient of one parameter is such a part of what all others have."""
    for event in (one for one in e.all("gradients") if one["moment"] == "optimizer"):
        event["norm"] = [None if value is None else 1.0 for value in event["norm"]]
        event["nonzero"] = [None if value is None else 4 for value in event["nonzero"]]
    e.put("gradients", "norm", B0, part, moment="optimizer")


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
        ("WronglyTrainable", "an adapter unasked", lambda e: e.intent.update(adapter=None)),
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
        ("TunedInVain", "one norm of a tower", lambda e: (
            e.put("parameters", "requires_grad", VISION, True), optimizer_group(e).append(["m", e.index(VISION)]),
            e.intent.update(trains=[*e.intent["trains"], "vision\\.norm"], out_of_reach=["vision\\.norm"]))),
        ("DidNotMove", "one", lambda e: e.stays(CONNECTOR)),
        ("DidNotMove", "a rate of zero", lambda e: (e.stays(CONNECTOR), rates(e, 0.0))),
        ("DidNotMove", "a step of twice half an ulp", lambda e: (
            e.stays(CONNECTOR), e.put("parameters", "dtype", CONNECTOR, "bfloat16"), rates(e, 2.0**-7))),
        ("DidNotMove", "zero, then nan", lambda e: (
            e.stays(CONNECTOR),
            e.one("gradients", LAST)["norm"].__setitem__(e.index(CONNECTOR), NAN),
            e.one("gradients", LAST - 2)["norm"].__setitem__(e.index(CONNECTOR), 0.0))),
        ("DidNotMove", "twice what rounding may leave of zero", lambda e: (e.stays(B0), only_residue(e, 2.0**-7))),
        ("DidNotMove", "next to no gradient, and in no optimizer", lambda e: (
            e.stays(B0), only_residue(e, 2.0**-9), optimizer_group(e).remove(["m", e.index(B0)]))),
        ("DidNotMove", "without optimizer", lambda e: (e.stays(B0), optimizer_group(e).remove(["m", e.index(B0)]))),
    ],
    "updates_not_lost_to_rounding": [
        ("UpdateLostToRounding", "less than half", lambda e: rounds_away(e, 1)),
        ("UpdateLostToRounding", "none", lambda e: e.stays(CONNECTOR)),
        ("UpdateLostToRounding", "going on, at a rate that never was large enough", goes_on(2.0**-9)),
        ("UpdateLostToRounding", "twice what rounding may leave of zero", lambda e: (
            e.stays(B0), only_residue(e, 2.0**-7))),
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
        ("a part of a tower of which some is in reach", lambda e: (
            e.put("parameters", "requires_grad", VISION, True), e.moves(VISION),
            optimizer_group(e).append(["m", e.index(VISION)]),
            e.intent.update(trains=[*e.intent["trains"], "vision\\.norm"], out_of_reach=["vision\\.layers"]))),
        ("a whole tower but for what is fixed, under text alone", lambda e: (
            e.put("parameters", "requires_grad", VISION, True), optimizer_group(e).append(["m", e.index(VISION)]),
            e.intent.update(
                trains=[*e.intent["trains"], "vision"], fixed=["vision\\.layers"], out_of_reach=["vision"]))),
        ("LoRA's A at the first effective step", lambda e: (
            e.one("optimizer_step", 1).update(skipped=True), e.stays(A0), e.stays(A1),
            [e.put("parameters", "rms", a.replace("lora_A", "lora_B"), 0.0) for a in (A0, A1)])),
        ("a gradient that may be what rounding left of zero", lambda e: (e.stays(B0), only_residue(e, 2.0**-9))),
        ("a step below half an ulp", lambda e: (
            e.stays(CONNECTOR), e.put("parameters", "dtype", CONNECTOR, "bfloat16"), rates(e, 2.0**-8))),
    ],
    "updates_not_lost_to_rounding": [
        ("exactly half", lambda e: rounds_away(e, 2)),
        ("going on where a schedule has come down", goes_on(2.0**-6)),
        ("a gradient that may be what rounding left of zero", lambda e: (e.stays(B0), only_residue(e, 2.0**-9))),
        ("few elements with a gradient", lambda e: (
            rounds_away(e, 1), e.put("gradients", "nonzero", CONNECTOR, 2, moment="optimizer"))),
        ("few elements with a gradient but at the skipped step", lambda e: (
            rounds_away(e, 1), e.put("gradients", "nonzero", CONNECTOR, 2, moment="optimizer"),
            seen_by_a_fused_optimizer(e))),
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
}  # fmt: skip
