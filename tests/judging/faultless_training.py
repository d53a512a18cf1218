"""A faultless run, written by hand: what it was asked to do, and what its training process recorded."""

from __future__ import annotations

from collections.abc import Iterator

from tests.judging.faultless_model import (
    BASE,
    ELEMENTS,
    LENGTH,
    PARAMETERS,
    STEPS,
    TF32,
    TRAINED,
    Record,
    last_fingerprints,
    layers,
    model,
    parameters,
)
from tests.judging.faultless_probes import adapter_probes, company_probes, promised_data


def intent_settings() -> Record:
    return {
        "components": [["vision\\.", "vision"], ["connector\\.", "connector"], ["language\\.", "language"]],
        "trains": ["connector\\."],
        "adapter": {"components": ["language"], "targets": r"language\..*q_proj", "rank": 4, "alpha": 8},
        "steps": STEPS,
        "mechanisms": {
            "autocast": "bfloat16",
            "compute": "bfloat16",
            "tf32": False,
            "loss_scaler": True,
            "overflow": True,
            "accumulation": 2,
            "checkpointing": True,
            "clip_norm": 1.0,
        },
        "save": {
            "what": "adapter",
            "at_least_shards": 2,
            "model_class": "Demo",
            "processor_class": "DemoProcessor",
            "tokenizer": True,
        },
        "samples_known": True,
        "single_tokens": ["<turn>", "<end>"],
        "has_images": True,
        "max_length": LENGTH,
        "probed": True,
        "base": True,
    }


def at_step(step: int) -> Iterator[Record]:
    """The events of one optimizer step of two micro-batches."""
    columns = {
        "norm": [0.5 if trains else None for _, _, trains in PARAMETERS],
        "nonzero": [ELEMENTS if trains else None for _, _, trains in PARAMETERS],
    }
    skipped = step == 0
    moved = [trains and not skipped for _, _, trains in PARAMETERS]
    place = {"step": step, "micro": 1}
    for micro in range(2):
        here = {"step": step, "micro": micro}
        first = step == micro == 0
        sample = [f"sample-{2 * step + micro}-{row}" for row in range(2)]
        dtypes = {"dtypes": {"Linear": ["bfloat16"]}, "layers": layers(), "tf32": dict(TF32)} if first else {}
        learned = {"fingerprint": ["labels"] * 2, "stretches": [[[4, 7], [9, 10]] for _ in range(2)]}
        seen = {"labels": 8, "samples": sample, "lengths": [LENGTH] * 2, "learned": learned, "pixels": "pixels"}
        yield {"kind": "forward", **here, "training": True, "loss": 2.0, **seen, **dtypes}
        recomputed = {"recomputed": {"Layer": 2}} if first else {}
        yield {"kind": "backward", **here, "value": 1.0, "stale": 0, **recomputed}
    yield {"kind": "gradients", **place, "moment": "backward", "norm": columns["norm"]}
    yield {"kind": "unscale", **place}
    yield {"kind": "clip", **place, "max_norm": 1.0, "total": 0.5}
    if not skipped:
        yield {"kind": "gradients", **place, "moment": "optimizer", **{k: list(v) for k, v in columns.items()}}
    values = {
        "fingerprint": [f"{'after' if trains else 'start'}-{i}" for i, trains in enumerate(moved)],
        "changed": [ELEMENTS if trains else 0 for trains in moved],
    }
    before = {"state_before": "state-0"} if skipped else {}
    yield {
        "kind": "optimizer_step",
        **place,
        **before,
        "optimizer": "o",
        "skipped": skipped,
        "lr": [0.01],
        "state": "state-1" if step else "state-0",
        "values": {"m": values},
    }
    yield {"kind": "scaler_update", **place, "before": 8.0 if skipped else 4.0, "after": 4.0}
    yield {"kind": "zero_grad", **place, "by": "AdamW"}
    if not skipped:
        yield {"kind": "scheduler_step", **place, "initial": False, "lr": [0.01]}


def events() -> list[Record]:
    names = [[f"{2 * step + micro}{row}" for row in "ab"] for step in range(STEPS) for micro in range(2)]
    prints = [[f"sample-{place}-{row}" for row in range(2)] for place in range(2 * STEPS)]
    group = {"parameters": [["m", index] for index in TRAINED], "lr": 0.01}
    steps = [event for step in range(STEPS) for event in at_step(step)]
    return [
        {"kind": "data", "samples": names, "fingerprints": prints, **promised_data()},
        model(),
        parameters(),
        {
            "kind": "buffers",
            "model": "m",
            "path": [f"{BASE}vision.mean", f"{BASE}connector.mean"],
            "fingerprint": ["v", "c"],
        },
        {"kind": "scaler", "device": "cpu", "asked": True, "enabled": True, "init_scale": 8.0},
        {"kind": "optimizer", "optimizer": "o", "groups": [group]},
        *steps,
        {
            "kind": "final",
            "model": "m",
            "fingerprint": last_fingerprints(),
            "changed_since_last_step": [0] * len(PARAMETERS),
            "buffers": ["v", "c"],
        },
        {
            "kind": "encoded",
            "batches": {"image": {"input_ids": "i", "pixel_values": "p"}, "text": {"input_ids": "t"}},
            "tokens": 9,
        },
        *adapter_probes(),
        *company_probes(),
        {"kind": "probe", "name": "generated", "ids": {"image": [1, 2], "text": [3, 4]}},
        {
            "kind": "probe",
            "name": "frozen_in_training",
            "passes": 2,
            "largest_difference": {"vision": 0.0, "language": 0.0},
        },
        {"kind": "probe", "name": "evaluated_twice", "largest_difference": {"image": 0.0}, "buffers_changed": []},
        {"kind": "probe", "name": "other_pixels", "images": True, "largest_difference": 0.25},
        {"kind": "probe", "name": "outputs", "fingerprint": {"image": "I", "text": "T"}, "arrays": "a.safetensors"},
        {"kind": "closing", "steps": STEPS, "optimizer_state_dtypes": {"o": {"exp_avg": {"float32": len(TRAINED)}}}},
    ]
