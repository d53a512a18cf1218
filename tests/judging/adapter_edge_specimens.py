"""Specimens at the edges of an adapter's file, of merging, and of labels that were not seen to the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from harness.trace.array_fingerprint import fingerprint
from tests.judging.adapter_specimens import asks, filed, merged
from tests.judging.faultless_model import LINEAR
from tests.judging.rank_specimens import ALL, FACTOR, HALF, KEPT, OWNERS, adalora, comes_back, saved_as

Evidence = Any
Alteration = Callable[[Evidence], object]

BASE = "base_model.model."
LAST = -1
CONNECTOR = "connector.modules_to_save.default.weight"
VISION = "vision.norm.weight"


def notes_its_rank(values: list[float]) -> Alteration:
    """AdaLoRA notes the rank of a module that has these singular values; the loaded model has noted another."""

    def alter(e: Evidence) -> None:
        adalora(values, ALL)(e)
        base = f"{OWNERS[0]}.base_layer.weight"
        e.put("parameters", "role", base, "adapter")
        e.one("parameters")["path"][e.index(base)] = f"{BASE}{OWNERS[0]}.ranknum.default"
        comes_back(e)
        rows = np.array(values) != 0
        saved_as(e, FACTOR[:, rows], np.array(values)[rows])
        e.reloaded["fingerprints"][f"{BASE}{OWNERS[0]}.ranknum.default"] = "other"

    return alter


def factor_in_bf16(e: Evidence) -> None:
    """One factor of a module that has given ranks away is in bfloat16, which has no dtype in numpy."""
    adalora(HALF, ALL)(e)
    e.one("parameters")["dtype"][e.index(f"{OWNERS[0]}.lora_B.default.weight")] = "bfloat16"
    filed()(e)
    saved_as(e, KEPT, [3.0, 5.0])
    seen = fingerprint(np.ascontiguousarray(KEPT), "bfloat16")
    e.saved["tensors"][f"{BASE}{OWNERS[0]}.lora_B"].update(dtype="BF16", fingerprint=seen)


def frozen_copy(e: Evidence) -> None:
    """The copy that the adapter keeps of a module trains by nobody's wish, and is not in the file."""
    e.intent["fixed"] = ["connector\\."]
    e.put("parameters", "requires_grad", CONNECTOR, False)
    del e.saved["tensors"][f"{BASE}connector.weight"]


def bias_of_the_tower(e: Evidence) -> None:
    path, key = f"{BASE}vision.norm.bias", f"{BASE}vision.norm.bias"
    at = e.index(VISION)
    e.one("parameters")["path"][at] = path
    e.saved["tensors"][key] = {"dtype": "F32", "fingerprint": e.one("final")["fingerprint"][at]}


def weight_of_the_tower(e: Evidence) -> None:
    last = e.one("final")["fingerprint"][e.index(VISION)]
    e.saved["tensors"][f"{BASE}{VISION}"] = {"dtype": "F32", "fingerprint": last}


def two_unlike_modules(e: Evidence) -> None:
    """One module that is far off for its size, and a larger one that is further off, and less so for its own."""
    for column, small, large in (("back", 0.5, 1.0), ("largest", 1.0, 100.0)):
        merged(e, column, small, at=0)
        merged(e, column, large, at=1)


def cut_off(e: Evidence, *, backward: bool) -> None:
    """The run ended in its last micro-batch, whose labels only its loss would have shown."""
    e.drop("closing")
    e.one("forward", LAST).pop("learned")
    if not backward:
        e.events.remove(e.one("backward", LAST))


SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "reloaded_parameters_equal": [("ParametersDiffer", "the rank that AdaLoRA notes", notes_its_rank(HALF))],
    "adapter_merges": [("UnmergeDiffers", "by most for its size", two_unlike_modules)],
    "adapter_file_holds_adapter_only": [
        ("AdapterTensorMissing", "a copy that stays as it was", filed(frozen_copy)),
        ("BaseTensorInAdapter", "a bias that nobody asked for", filed(bias_of_the_tower)),
        ("BaseTensorInAdapter", "a weight where every bias may come", filed(
            lambda e: asks(e, bias="all"), weight_of_the_tower)),
    ],
}  # fmt: skip


def factors_in_the_layer(e: Evidence) -> None:
    """A trainer's own LoRA: the layer stays what it was, and has its factors in it."""
    modules = e.one("model")["modules"]
    rows = [
        (path, LINEAR if path in e.one("model")["adapters"] else kind)
        for path, kind in zip(modules["path"], modules["type"], strict=True)
        if not path.endswith(".base_layer")
    ]
    modules["path"], modules["type"] = map(list, zip(*rows, strict=True))


SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "adapters_where_intended": [("factors in the layer itself", factors_in_the_layer)],
    "reloaded_parameters_equal": [
        ("the rank that AdaLoRA notes of a module without any", notes_its_rank([0.0] * 4)),
    ],
    "adapter_file_holds_adapter_only": [
        ("ranks in use alone, in bf16", factor_in_bf16),
        ("a copy that has grown, without its original", filed(lambda e: e.intent.update(resized=["connector\\."]))),
    ],
    "labels_say_the_answers": [
        ("cut off before the last loss", lambda e: cut_off(e, backward=False)),
        ("cut off in the last loss", lambda e: cut_off(e, backward=True)),
    ],
}  # fmt: skip
