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


SETTINGS: dict[str, Alteration] = {
    "scaler_on_exactly_for_fp16": lambda e: computes(e, "float16"),
    "scaler_rule_over_precisions": goes_by("fp16", "fp16"),
}

SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
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
}  # fmt: skip

SILENT: dict[str, list[tuple[str, Alteration]]] = {
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
}  # fmt: skip
