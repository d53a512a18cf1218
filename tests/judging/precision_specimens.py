"""Specimens of compute dtypes, master weights and gradient scalers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Evidence = Any
Alteration = Callable[[Evidence], object]

WARNINGS = {"ScalerUseless"}
PRECISIONS = ("fp32", "bf16", "fp16")
DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def computes(e: Evidence, dtype: str) -> None:
    """Let the layers compute in a dtype, as was asked."""
    e.intent["mechanisms"]["autocast"] = None if dtype == "float32" else dtype
    e.one("forward")["dtypes"] = {"Linear": [dtype], "LayerNorm": ["float32"], "Embedding": ["float32"]}


def weights(e: Evidence, dtype: str, *, trained: str | None = None) -> None:
    record = e.one("parameters")
    record["dtype"] = [trained or dtype if trains else dtype for trains in record["requires_grad"]]


def scaler(e: Evidence, *, asked: bool, enabled: bool | None = None) -> None:
    e.one("scaler").update(asked=asked, enabled=asked if enabled is None else enabled)


def variants(e: Evidence, on: str, autocast: dict[str, str] | None = None) -> None:
    """Runs at each precision, with a scaler that is on in the named ones."""
    for precision in PRECISIONS:
        dtype = (autocast or {}).get(precision, DTYPES[precision])
        enabled = precision in on.split()
        e.partners[f"scaler_{precision}"] = [
            {"kind": "scaler", "device": "cpu", "asked": enabled, "enabled": enabled},
            {"kind": "forward", "training": True, "dtypes": {"Linear": [dtype]}},
            {"kind": "closing", "steps": 1},
        ]


def goes_by(rule: str, on: str, autocast: dict[str, str] | None = None) -> Alteration:
    def alter(e: Evidence) -> None:
        e.intent["mechanisms"]["scaler_rule"] = rule
        variants(e, on, autocast)

    return alter


def overflow(e: Evidence, step: int) -> None:
    """Let another step be skipped, as it should be."""
    taken = e.one("optimizer_step", step)
    taken.update(skipped=True, state_before="state-0", state="state-0")
    taken["values"]["m"]["changed"] = [0] * len(taken["values"]["m"]["changed"])
    e.one("scaler_update", step).update(after=e.one("scaler_update", step)["before"] / 2)
    e.events = [one for one in e.events if not (one["kind"] == "scheduler_step" and one["step"] == step)]


def after(e: Evidence, kind: str, record: dict[str, Any], at: int = 0) -> None:
    e.events.insert(e.events.index(e.one(kind, at)) + 1, record)


ADVANCE = {"kind": "scheduler_step", "step": 0, "micro": 1, "initial": False, "lr": [0.01]}
CLIP = {"kind": "clip", "step": 1, "micro": 1, "max_norm": 1.0, "total": 0.5}


def unscale_before_the_last_backward(e: Evidence) -> None:
    early = e.one("unscale", 1)
    e.events.remove(early)
    e.events.insert(e.events.index(e.one("backward", 3)), early)


def gives(e: Evidence, at: int, dtype: str, **columns: Any) -> None:
    for name, value in {"gives": dtype, **columns}.items():
        e.one("forward")["layers"][name][at] = value


def all_give(e: Evidence, dtype: str) -> None:
    rows = e.one("forward")["layers"]["gives"]
    rows[:] = [dtype] * len(rows)


def asks(e: Evidence, **mechanisms: Any) -> None:
    e.intent["mechanisms"].update(mechanisms)


NORM, ADAPTER = 1, 4  # among the layers of the first forward


SETTINGS: dict[str, Alteration] = {
    "scaler_on_exactly_for_fp16": lambda e: computes(e, "float16"),
    "scaler_rule_over_precisions": goes_by("fp16", "fp16"),
}

SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "layers_compute_as_asked": [
        ("ComputedInOtherDtype", "one layer", lambda e: gives(e, 0, "float32")),
        ("ComputedInOtherDtype", "an adapter over fp32 weights", lambda e: gives(e, ADAPTER, "float32")),
        ("ComputedInOtherDtype", "a convolution", lambda e: gives(e, 0, "float32", kind="Conv2d")),
        ("ComputedInOtherDtype", "an attention", lambda e: gives(e, 0, "float16", kind="MultiheadAttention")),
        ("ComputedInOtherDtype", "a flag that autocast does not know", lambda e: asks(e, compute="float16")),
        ("ComputedInOtherDtype", "by autocast alone", lambda e: asks(e, compute=None, autocast="float16")),
        ("ComputedInOtherDtype", "an embedding under fp32", lambda e: (
            asks(e, compute="float32"), all_give(e, "float32"), gives(e, 0, "bfloat16", kind="Embedding"))),
        ("ComputedInOtherDtype", "in pure bf16", lambda e: (
            e.intent.update(weights="bfloat16"), gives(e, 0, "float32"))),
        ("ComputedInOtherDtype", "in an older trace", lambda e: (
            e.one("forward").pop("layers"), e.one("forward")["dtypes"].update(Linear=["bfloat16", "float32"]))),
        ("NormRounded", "one", lambda e: gives(e, NORM, "bfloat16")),
    ],
    "master_weights_in_fp32": [
        ("MasterWeightsLost", "one", lambda e: (
            e.put("parameters", "dtype", "connector.modules_to_save.default.weight", "bfloat16"))),
        ("MasterWeightsLost", "fp16", lambda e: weights(e, "float32", trained="float16")),
        ("OptimizerStateLost", "one tensor", lambda e: e.one("closing")["optimizer_state_dtypes"]["o"].update(
            exp_avg={"float32": 4, "bfloat16": 1})),
        ("OptimizerStateLost", "in fp16", lambda e: e.one("closing")["optimizer_state_dtypes"].update(
            p={"exp_avg_sq": {"float16": 1}})),
    ],
    "tf32_as_asked": [
        ("OtherTf32", "allowed", lambda e: e.one("forward")["tf32"].update(matmul=True)),
        ("OtherTf32", "in convolutions", lambda e: e.one("forward")["tf32"].update(cudnn=True)),
        ("OtherTf32", "not allowed", lambda e: asks(e, tf32=True)),
    ],
    "scaler_on_exactly_for_fp16": [
        ("ScalerMissing", "off under fp16", lambda e: (computes(e, "float16"), scaler(e, asked=False))),
        ("ScalerMissing", "none under fp16", lambda e: (computes(e, "float16"), e.drop("scaler"))),
        ("ScalerMissing", "one kind in fp16", lambda e: (
            computes(e, "float32"), e.one("forward")["dtypes"].update(Conv2d=["float16"]), e.drop("scaler"))),
        ("ScalerMissing", "autocast for CUDA, on a machine without", lambda e: (
            computes(e, "float32"), e.drop("scaler"),
            e.events.insert(0, {"kind": "autocast", "device": "cuda", "dtype": "float16", "enabled": False}))),
        ("ScalerUnneeded", "on under fp32", lambda e: computes(e, "float32")),
        ("ScalerUnneeded", "on under fp32, by a rule of its own", lambda e: (
            computes(e, "float32"), e.intent["mechanisms"].update(scaler_rule="always"))),
        ("ScalerUnneeded", "for CUDA, on a machine without", lambda e: (
            computes(e, "float32"), scaler(e, asked=True, enabled=False))),
        ("ScalerUnneeded", "on without fp32 weights", lambda e: (computes(e, "float16"), weights(e, "float16"))),
        ("ScalerUseless", "on under bf16", lambda e: None),
        ("ScalerUseless", "on under bf16, with another rule", lambda e: e.intent["mechanisms"].update(
            scaler_rule="fp16")),
    ],
    "scaler_rule_over_precisions": [
        ("ScalerByWrongRule", "always on", goes_by("fp16", "fp32 bf16 fp16")),
        ("ScalerByWrongRule", "on under bf16 too", goes_by("fp16", "bf16 fp16")),
        ("ScalerByWrongRule", "never on", goes_by("fp16", "")),
        ("ScalerByWrongRule", "no known rule", goes_by("fp16", "bf16")),
        ("ScalerByWrongRule", "always on, as declared", goes_by("always", "fp32 bf16 fp16")),
        ("ScalerByWrongRule", "never on, as declared", goes_by("never", "")),
        ("ScalerByWrongRule", "another than the one declared", goes_by("fp16-and-bf16", "fp16")),
        ("ScalerByWrongRule", "by the dtype's name, where autocast takes another", goes_by(
            "fp16", "fp16", {"bf16": "float16"})),
    ],
    "gradients_unscaled_before_clip": [
        ("ClippedScaled", "one step", lambda e: (
            e.events.remove(clip := e.one("clip", 1)),
            e.events.insert(e.events.index(e.one("unscale", 1)), clip))),
        ("ClippedScaled", "twice, once before", lambda e: (
            e.events.insert(e.events.index(e.one("unscale", 1)), CLIP))),
        ("ClippedScaled", "never unscaled", lambda e: e.drop("unscale")),
        ("ClippedScaled", "never unscaled, for CUDA, on a machine without", lambda e: (
            scaler(e, asked=True, enabled=False), e.drop("unscale"))),
        ("UnscaledEarly", "before the last micro-batch", unscale_before_the_last_backward),
    ],
    "skipped_steps_change_nothing": [
        ("SkippedStepMoved", "one element", lambda e: e.moves("vision.norm.weight", step=0)),
        ("SkippedStepMoved", "of a second model", lambda e: e.one("optimizer_step")["values"].update(
            n={"changed": [0, 1]})),
        ("SkippedStepCounted", "its state", lambda e: e.one("optimizer_step").update(state="state-1")),
        ("ScheduleAdvanced", "at once", lambda e: after(e, "optimizer_step", ADVANCE)),
        ("ScheduleAdvanced", "after zeroing", lambda e: after(e, "zero_grad", ADVANCE)),
        ("ScheduleAdvanced", "after a later skipped step", lambda e: (
            overflow(e, 2), after(e, "optimizer_step", {**ADVANCE, "step": 2}, at=2))),
    ],
    "scale_backs_off_and_recovers": [
        ("ScaleNotLowered", "as it was", lambda e: e.one("scaler_update").update(after=8.0)),
        ("ScaleNotLowered", "no update", lambda e: e.events.remove(e.one("scaler_update"))),
        ("NoRecovery", "the next one is skipped too", lambda e: overflow(e, 1)),
        ("NoRecovery", "a later one is skipped too", lambda e: overflow(e, 2)),
        ("NoRecovery", "all are skipped", lambda e: (
            e.intent["mechanisms"].update(overflow=False), overflow(e, 1), overflow(e, 2))),
    ],
}  # fmt: skip

SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "layers_compute_as_asked": [
        ("a norm that is given 16 bits", lambda e: gives(e, NORM, "bfloat16", takes="bfloat16")),
        ("an embedding under bf16", lambda e: gives(e, 0, "float32", kind="Embedding")),
        ("an fp32 adapter on bf16 weights", lambda e: (
            e.intent.update(weights="bfloat16"), gives(e, ADAPTER, "float32"))),
        ("a norm of pure bf16", lambda e: (e.intent.update(weights="bfloat16"), gives(e, NORM, "bfloat16"))),
        ("fp32", lambda e: (asks(e, compute="float32"), all_give(e, "float32"))),
        ("an older trace", lambda e: e.one("forward").pop("layers")),
    ],
    "master_weights_in_fp32": [
        ("a frozen one in 16 bits", lambda e: e.put("parameters", "dtype", "vision.norm.weight", "bfloat16")),
        ("a trace of before dtypes of states were recorded", lambda e: (
            e.one("closing").pop("optimizer_state_dtypes"))),
        ("no state", lambda e: e.one("closing").update(optimizer_state_dtypes={"o": {}})),
    ],
    "tf32_as_asked": [
        ("allowed and asked for", lambda e: (
            asks(e, tf32=True), e.one("forward")["tf32"].update(matmul=True, cudnn=True))),
        ("torch does not say", lambda e: e.one("forward")["tf32"].update(cudnn=None)),
    ],
    "scaler_on_exactly_for_fp16": [
        ("off under fp32", lambda e: (computes(e, "float32"), scaler(e, asked=False))),
        ("none under bf16", lambda e: e.drop("scaler")),
        ("on under bf16, by a rule of its own", lambda e: e.intent["mechanisms"].update(scaler_rule="fp16-and-bf16")),
        ("pure fp16", lambda e: (computes(e, "float16"), weights(e, "float16"), e.drop("scaler"))),
        ("an fp32 adapter on fp16 weights, off", lambda e: (
            computes(e, "float16"), weights(e, "float16", trained="float32"), e.drop("scaler"))),
        ("an fp32 adapter on fp16 weights, on", lambda e: (
            computes(e, "float16"), weights(e, "float16", trained="float32"))),
        ("scaler and fp16 autocast for CUDA, on a machine without", lambda e: (
            computes(e, "float32"), scaler(e, asked=True, enabled=False),
            e.events.insert(0, {"kind": "autocast", "device": "cuda", "dtype": "float16", "enabled": False}))),
        ("norms alone in another dtype", lambda e: (
            computes(e, "float32"), e.one("forward")["dtypes"].update(LayerNorm=["float16"]), e.drop("scaler"))),
    ],
    "scaler_rule_over_precisions": [
        ("the right one", goes_by("fp16", "fp16")),
        ("the interim one, as declared", goes_by("fp16-and-bf16", "bf16 fp16")),
    ],
    "gradients_unscaled_before_clip": [
        ("no clipping", lambda e: e.drop("clip")),
        ("no scaler", lambda e: (
            e.intent["mechanisms"].update(loss_scaler=None), e.drop("scaler", "unscale", "scaler_update"))),
        ("one that was not asked for", lambda e: (scaler(e, asked=False), e.drop("unscale"))),
        ("clipped twice", lambda e: after(e, "clip", CLIP, at=1)),
    ],
    "skipped_steps_change_nothing": [
        ("an effective step moves, counts and advances", lambda e: None),
        ("the schedule as it is made", lambda e: after(e, "optimizer_step", {**ADVANCE, "initial": True})),
        ("another optimizer's step is taken", lambda e: (
            after(e, "zero_grad", ADVANCE),
            e.events.append({**e.one("optimizer_step", 1), "step": 0, "optimizer": "p"}))),
        ("a trace of before the state was recorded", lambda e: e.one("optimizer_step").pop("state_before")),
        ("no scaler", lambda e: (e.intent["mechanisms"].update(loss_scaler=None), e.drop("scaler"))),
    ],
    "scale_backs_off_and_recovers": [
        ("skipped twice on the way down", lambda e: (e.intent["mechanisms"].update(overflow=False), overflow(e, 1))),
        ("the last one is skipped", lambda e: (
            e.intent["mechanisms"].update(overflow=False), overflow(e, 2))),
        ("it grows", lambda e: e.one("scaler_update", 1).update(after=8.0)),
    ],
}  # fmt: skip
