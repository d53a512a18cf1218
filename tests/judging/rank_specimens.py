"""Specimens of an adapter that gives ranks away, and of what is saved of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from harness.trace.array_fingerprint import fingerprint
from tests.judging.adapter_specimens import filed

Evidence = Any
Alteration = Callable[[Evidence], object]
OWNERS = ("language.layers.0.q_proj", "language.layers.1.q_proj")
FACTOR = np.arange(8, dtype=np.float32).reshape(2, 4)


def adalora(*singular_values: list[float]) -> Alteration:
    """Of each adapted module the singular values after the last step, under a budget of one rank on average.

    One of LoRA's two factors stands for the singular values, the other for what is multiplied with them.
    """

    def alter(e: Evidence) -> None:
        e.intent["adapter"] |= {"method": "adalora", "rank": None, "rank_budget": 1}
        paths, last = e.one("parameters")["path"], {}
        for owner, values in zip(OWNERS, singular_values, strict=True):
            one, other = e.index(f"{owner}.lora_A.default.weight"), e.index(f"{owner}.lora_B.default.weight")
            last |= {f"last/{one}": np.array(values, dtype=np.float32)[:, None], f"last/{other}": FACTOR}
            for index, part in ((one, "lora_E"), (other, "lora_B")):
                paths[index] = f"base_model.model.{owner}.{part}.default"
        save_file(last, e.directory / "rank-0" / "last.safetensors")
        e.one("final")["arrays"] = "last.safetensors"

    return alter


def saved_as(e: Evidence, factor: Any, values: Any) -> None:
    """Let file and loaded model hold so much of the first module's factors."""
    for part, value in (("lora_B", factor), ("lora_E", values)):
        seen = fingerprint(np.array(value, dtype=np.float32), "float32")
        e.saved["tensors"][f"base_model.model.{OWNERS[0]}.{part}"] = {"dtype": "F32", "fingerprint": seen}
        e.reloaded["fingerprints"][f"base_model.model.{OWNERS[0]}.{part}.default"] = seen


def comes_back(e: Evidence) -> None:
    """Let the loaded model's parameters be called as those that were trained."""
    names = zip(e.one("parameters")["path"], e.one("final")["fingerprint"], strict=True)
    e.reloaded["fingerprints"] = dict(names)


ALL, HALF = [1.0] * 4, [0.0, 3.0, 0.0, 5.0]
CUT = adalora(HALF, ALL)
KEPT = FACTOR[:, [1, 3]]

SETTINGS: dict[str, Alteration] = {"adapter_ranks_allocated": adalora([0.0, 1.0], [2.0, 0.0])}

SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "adapter_ranks_allocated": [
        ("RanksNotReduced", "one too many", adalora([0.0, 1.0], [2.0, 3.0])),
        ("RanksNotReduced", "none left", adalora([0.0, 0.0], [0.0, 0.0])),
    ],
    "adapter_file_holds_adapter_only": [
        ("AdapterTensorDiffers", "masked ranks beside the others", lambda e: (
            CUT(e), filed()(e), saved_as(e, FACTOR, [3.0, 5.0]))),
    ],
    "reloaded_parameters_equal": [
        ("ParametersDiffer", "other ranks than those in use", lambda e: (
            CUT(e), comes_back(e), saved_as(e, FACTOR[:, :2], [3.0, 5.0]))),
    ],
    "reloaded_outputs_equal_image": [
        ("OutputsDiffer", "beyond rounding", lambda e: (CUT(e), e.reloaded["outputs"].update(image="?"))),
        ("OutputsDiffer", "within rounding, with all ranks saved", lambda e: (
            adalora(ALL, ALL)(e), near(e, 1 + 2.0**-20))),
    ],
    "saved_directory_loads": [
        ("KeysLost", "an adapter's keys", lambda e: (
            CUT(e), e.reloaded["adapter_warnings"].append("Found missing adapter keys"))),
    ],
}  # fmt: skip


def near(e: Evidence, factor: float) -> None:
    """Let the loaded model's logits be those of before, but for a factor."""
    logits = np.full((1, 2), factor, dtype=np.float32)
    save_file({"image": logits, "text": logits}, e.directory / "reload" / "a.safetensors")
    e.reloaded["outputs"] = {"image": "?", "text": "?"}


SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "adapter_ranks_allocated": [("one module without any", adalora([0.0, 0.0], [2.0, 3.0]))],
    "adapter_file_holds_adapter_only": [("ranks in use alone", lambda e: (
        CUT(e), filed()(e), saved_as(e, KEPT, [3.0, 5.0])))],
    "reloaded_parameters_equal": [("ranks in use alone", lambda e: (
        CUT(e), comes_back(e), saved_as(e, KEPT, [3.0, 5.0])))],
    "reloaded_outputs_equal_image": [("rounding of sums over fewer ranks", lambda e: (CUT(e), near(e, 1 + 2.0**-20)))],
    "adapter_merges": [("a module without any rank", lambda e: (
        adalora([0.0, 0.0], [2.0, 3.0])(e),
        e.probe("adapter_merged")["modules"]["changed"].__setitem__(0, 0.0)))],
    "saved_directory_loads": [("a rank pattern that peft says it ignored", lambda e: (
        CUT(e), e.reloaded["adapter_warnings"].append("The following rank_pattern keys were ignored")))],
    "trainable_set_as_intended": [
        ("the rank that AdaLoRA notes", lambda e: (
            adalora(ALL, ALL)(e), e.one("parameters")["path"].__setitem__(
                e.index("0.q_proj.lora_B.default.weight"), f"base_model.model.{OWNERS[0]}.ranknum.default"),
            e.put("parameters", "requires_grad", "0.q_proj.lora_B.default.weight", False))),
        ("the factor that MiCA keeps", lambda e: (
            e.intent["adapter"].update(init="mica"),
            [e.put("parameters", "requires_grad", f"{owner}.lora_B.default.weight", False) for owner in OWNERS])),
    ],
}  # fmt: skip
