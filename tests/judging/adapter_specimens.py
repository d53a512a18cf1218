"""Specimens of what adapters do, of modules kept beside them, of merging and of their files."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from safetensors.numpy import save_file

Evidence = Any
Alteration = Callable[[Evidence], object]

BASE = "base_model.model."
Q0, Q1 = f"{BASE}language.layers.0.q_proj", f"{BASE}language.layers.1.q_proj"
A0, A1, B0 = "0.q_proj.lora_A.default.weight", "1.q_proj.lora_A.default.weight", "0.q_proj.lora_B.default.weight"
CONNECTOR = "connector.modules_to_save.default.weight"
ORIGINAL = "connector.original_module.weight"
VISION, FC = "vision.norm.weight", "language.layers.0.fc.weight"
UNDER_ADAPTER = "0.q_proj.base_layer.weight"
UNIT = 2.0**-24  # of rounding, in fp32
NAN = "nan"
WARNINGS = {"GrownNotSaved"}


def asks(e: Evidence, **settings: Any) -> None:
    e.intent["adapter"].update(settings)


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


def at_start(e: Evidence, difference: Any, batch: str = "image") -> None:
    e.probe("adapter_at_start")["largest_difference"][batch] = difference


def another_expert(in_float32: float) -> Alteration:
    """DoRA in bf16 beside experts: logits far off, and so far off in float32."""

    def alter(e: Evidence) -> None:
        dora(e)
        e.intent.update(weights="bfloat16")
        at_start(e, 0.5)
        exact = {"image": in_float32, "text": 0.0}
        one = {"largest_difference": exact, "largest_logit": {"image": 1.0, "text": 1.0}}
        e.probe("adapter_at_start")["in_float32"] = one

    return alter


def merged(e: Evidence, column: str, value: float, at: int = 1) -> None:
    e.probe("adapter_merged")["modules"][column][at] = value


def dora(e: Evidence) -> None:
    e.one("model")["adapters"][Q0]["use_dora"] = {"default": True}


def begins_with(difference: float) -> Alteration:
    """An initialisation that rewrites the weights, after which the model is so far from its base."""

    def alter(e: Evidence) -> None:
        asks(e, init="pissa_niter_4")
        at_start(e, 1.0)
        logits = np.full((1, 2), 1 + difference)
        save_file({"image": logits, "text": logits}, e.directory / "base" / "b.safetensors")
        e.base[0]["arrays"] = "b.safetensors"

    return alter


def saved_name(path: str) -> str:
    return f"{BASE}{path}".replace(".default", "").replace(".modules_to_save", "")


def filed(*alterations: Alteration) -> Alteration:
    """An adapter's file as it should be, then altered."""

    def alter(e: Evidence) -> None:
        record = e.one("parameters")
        rows = zip(record["path"], record["role"], e.one("final")["fingerprint"], strict=True)
        e.saved["tensors"] = {
            saved_name(path.removeprefix(BASE)): {"dtype": "F32", "fingerprint": last}
            for path, role, last in rows
            if role in ("adapter", "copy")
        }
        for alteration in alterations:
            alteration(e)

    return alter


def also_saves(e: Evidence, key: str, path: str) -> None:
    """Let the file hold a parameter as training left it."""
    e.saved["tensors"][key] = {"dtype": "F32", "fingerprint": e.one("final")["fingerprint"][e.index(path)]}


def drops(e: Evidence, path: str) -> None:
    del e.saved["tensors"][saved_name(path)]


def renamed(e: Evidence, path: str, to: str) -> None:
    paths = e.one("parameters")["path"]
    paths[e.index(path)] = paths[e.index(path)].replace(path, to)


def trained_bias(e: Evidence) -> None:
    """Let the weight under one adapter be a bias that trains."""
    asks(e, bias="lora_only")
    e.put("parameters", "requires_grad", UNDER_ADAPTER, True)
    renamed(e, UNDER_ADAPTER, "0.q_proj.base_layer.bias")


def grown_beside(e: Evidence) -> None:
    """Let a frozen parameter have grown with added tokens."""
    e.intent["resized"] = ["language\\.layers\\.0\\.fc"]


# What a check needs before there is anything to be silent about.
SETTINGS: dict[str, Alteration] = {"adapter_file_holds_adapter_only": filed()}

SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
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
    "kept_modules": [
        ("ModuleNotKept", "trained in place", lambda e: e.put("parameters", "role", CONNECTOR, "base")),
        ("CopyFrozen", "one", lambda e: e.put("parameters", "requires_grad", CONNECTOR, False)),
        ("ThawedInCopy", "set to train", lambda e: e.intent.update(fixed=["connector\\."])),
        ("ThawedInCopy", "moved", lambda e: (
            e.intent.update(fixed=["connector\\."]), e.put("parameters", "requires_grad", CONNECTOR, False))),
        ("OriginalTouched", "one element", lambda e: e.moves(ORIGINAL)),
        ("OriginalTouched", "set to train", lambda e: e.put("parameters", "requires_grad", ORIGINAL, True)),
    ],
    "adapter_starts_as_identity": [
        ("NoIdentityAtStart", "the least", lambda e: at_start(e, 1e-30)),
        ("NoIdentityAtStart", "on text", lambda e: at_start(e, 1e-30, "text")),
        ("NoIdentityAtStart", "nan", lambda e: at_start(e, NAN)),
        ("NoIdentityAtStart", "beyond rounding", lambda e: (asks(e, init="orthogonal"), at_start(e, 128 * UNIT))),
        ("NoIdentityAtStart", "DoRA beyond rounding", lambda e: (dora(e), at_start(e, 128 * UNIT))),
        ("NoIdentityAtStart", "DoRA in 16 bits, and in float32", another_expert(2.0**-3)),
        ("NoIdentityAtStart", "another base than before it was rewritten", begins_with(128 * UNIT)),
        ("NoIdentityAtStart", "of another shape", lambda e: (
            begins_with(0.0)(e), save_file({"image": np.zeros(3)}, e.directory / "base" / "b.safetensors"))),
    ],
    "adapter_disabled_is_base": [
        ("DisabledIsNotBase", "image", lambda e: e.probe("adapter_disabled")["fingerprint"].update(image="?")),
        ("DisabledIsNotBase", "text", lambda e: e.probe("adapter_disabled")["fingerprint"].update(text="?")),
        ("DisabledIsNotBase", "no logits of the base", lambda e: e.base[0]["outputs"].pop("text")),
    ],
    "adapter_changes_outputs": [
        ("AdapterWithoutEffect", "on one batch", lambda e: e.probe("adapter_disabled")["effect"].update(text=0.0)),
        ("AdapterWithoutEffect", "in the tower", lambda e: (
            e.intent["components"][2].__setitem__(1, "vision"),
            e.probe("adapter_disabled")["effect"].update(image=0.0))),
    ],
    "adapter_merges": [
        ("MergeFails", "error", lambda e: e.probe("adapter_merged").update(raised="ValueError: m")),
        ("MergeDiffers", "beyond rounding", lambda e: (
            e.probe("adapter_merged")["largest_difference"].update(text=128 * UNIT))),
        ("MergeDiffers", "nan", lambda e: e.probe("adapter_merged")["largest_difference"].update(image=NAN)),
        ("MergeWithoutEffect", "one module", lambda e: merged(e, "changed", 0.0)),
        ("DoubleMerge", "the least", lambda e: merged(e, "again", 1e-30)),
        ("UnmergeDiffers", "beyond rounding", lambda e: merged(e, "back", 8 * UNIT * 1.25)),
        ("UnmergeDiffers", "nan", lambda e: merged(e, "back", float(NAN))),
        ("UnmergeDiffers", "beyond rounding of products", lambda e: (
            asks(e, method="oft"), merged(e, "back", 128 * UNIT * 1.25))),
    ],
    "adapter_file_holds_adapter_only": [
        ("AdapterTensorMissing", "one", filed(lambda e: drops(e, f"language.layers.{A0}"))),
        ("AdapterTensorMissing", "the copy", filed(lambda e: drops(e, CONNECTOR))),
        ("AdapterTensorMissing", "a trained bias", filed(trained_bias)),
        ("GrownNotSaved", "one", filed(grown_beside)),
        ("AdapterTensorDiffers", "one", filed(lambda e: e.saved["tensors"][f"{Q0}.lora_A.weight"].update(
            fingerprint="start"))),
        ("AdapterTensorDiffers", "another dtype", filed(lambda e: e.saved["tensors"][f"{BASE}connector.weight"].update(
            dtype="F16"))),
        ("BaseTensorInAdapter", "one", filed(lambda e: also_saves(e, f"{BASE}{VISION}", VISION))),
        ("BaseTensorInAdapter", "under an adapter", filed(
            lambda e: also_saves(e, f"{Q0}.base_layer.weight", UNDER_ADAPTER))),
        ("BaseTensorInAdapter", "the original", filed(lambda e: also_saves(e, f"{BASE}{ORIGINAL}", ORIGINAL))),
        ("BaseTensorInAdapter", "of no parameter", filed(lambda e: also_saves(e, "extra", A0))),
    ],
}  # fmt: skip

SILENT: dict[str, list[tuple[str, Alteration]]] = {
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
    "kept_modules": [
        ("fixed in the copy too", lambda e: (
            e.intent.update(fixed=["connector\\."]), e.put("parameters", "requires_grad", CONNECTOR, False),
            e.stays(CONNECTOR))),
    ],
    "adapter_starts_as_identity": [
        ("rounding, where factors are not zero", lambda e: (asks(e, init="orthogonal"), at_start(e, 64 * UNIT))),
        ("rounding of DoRA", lambda e: (dora(e), at_start(e, 64 * UNIT))),
        ("DoRA that sends a token to another expert in 16 bits", another_expert(2.0**-4)),
        ("rounding of another method", lambda e: (asks(e, method="hra"), at_start(e, 64 * UNIT))),
        ("rounding of a base that was rewritten", begins_with(64 * UNIT)),
        ("no base was verified", lambda e: e.base.clear()),
    ],
    "adapter_disabled_is_base": [("a batch more", lambda e: e.base[0]["outputs"].update(other="?"))],
    "adapter_changes_outputs": [
        ("text does not pass the tower", lambda e: (
            e.intent["components"][2].__setitem__(1, "vision"),
            e.probe("adapter_disabled")["effect"].update(text=0.0))),
        ("out of reach", lambda e: (
            e.intent.update(out_of_reach=["language\\."]),
            e.probe("adapter_disabled")["effect"].update(image=0.0, text=0.0))),
    ],
    "adapter_merges": [
        ("rounding of logits", lambda e: e.probe("adapter_merged")["largest_difference"].update(text=64 * UNIT)),
        ("rounding of weights", lambda e: merged(e, "back", 4 * UNIT * 1.25)),
        ("rounding of products", lambda e: (asks(e, method="oft"), merged(e, "back", 64 * UNIT * 1.25))),
        ("no gradient reached it", lambda e: (
            e.intent.update(out_of_reach=["language\\.layers\\.1"]), merged(e, "changed", 0.0))),
        ("it did not move", lambda e: (
            e.stays("1.q_proj.lora_B.default.weight"), e.stays(A1), merged(e, "changed", 0.0))),
    ],
    "adapter_file_holds_adapter_only": [
        ("a trained bias", filed(
            lambda e: also_saves(e, f"{Q0}.base_layer.bias", UNDER_ADAPTER), trained_bias)),
        ("every bias", filed(
            lambda e: asks(e, bias="all"), lambda e: also_saves(e, f"{BASE}vision.norm.bias", VISION),
            lambda e: e.put("parameters", "requires_grad", VISION, True),
            lambda e: renamed(e, VISION, "vision.norm.bias"))),
        ("DoRA's vector without its weight", filed(
            lambda e: renamed(e, B0, "0.q_proj.lora_magnitude_vector.default.weight"),
            lambda e: e.saved["tensors"].update({
                f"{Q0}.lora_magnitude_vector": e.saved["tensors"].pop(f"{Q0}.lora_B.weight")}))),
        ("a frozen bias under bias all", filed(
            lambda e: asks(e, bias="all"), lambda e: also_saves(e, f"{BASE}connector.original_module.bias", ORIGINAL),
            lambda e: renamed(e, ORIGINAL, "connector.original_module.bias"))),
        ("an embedding under its adapter", filed(
            lambda e: e.intent["components"].insert(0, ["language\\.layers\\.0\\.q_proj", "embeddings"]),
            lambda e: also_saves(e, f"{Q0}.base_layer.weight", UNDER_ADAPTER))),
        ("an embedding that has grown", filed(grown_beside, lambda e: also_saves(e, f"{BASE}{FC}", FC))),
        ("the original of a copy that has grown", filed(
            lambda e: e.intent.update(resized=["connector\\."]),
            lambda e: also_saves(e, f"{BASE}{ORIGINAL}", ORIGINAL))),
        ("drawn at random", filed(lambda e: also_saves(e, "base_model.lora_projection", A0))),
        ("shared, under its other name", filed(
            lambda e: e.one("parameters").update(ties={f"{BASE}language.layers.{A0}": ["base_model.bank.default"]}),
            lambda e: e.saved["tensors"].update({"base_model.bank": e.saved["tensors"].pop(f"{Q0}.lora_A.weight")}))),
        ("a part that its method keeps fixed", filed(
            lambda e: drops(e, f"language.layers.{A0}"), lambda e: e.put("parameters", "requires_grad", A0, False))),
    ],
}  # fmt: skip
