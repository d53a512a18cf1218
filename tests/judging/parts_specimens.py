"""Specimens of starts that are put together: faults of what is laid over a model, and what is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Evidence = Any
Alteration = Callable[[Evidence], object]

BASE = "base_model.model."
PICKLED = {"pickled": True}
FACTORS = ("0.q_proj.lora_A", "0.q_proj.lora_B", "1.q_proj.lora_A", "1.q_proj.lora_B")


def load(**facts: Any) -> dict[str, Any]:
    """A state dict that was loaded by name."""
    whole = {"module": "Demo", "strict": False, "keys": 2, "matched": 2, "unexpected": []}
    return {"kind": "load", "step": 0, "micro": 0, **whole, **facts}


def laid_over(*alterations: Alteration) -> Alteration:
    """Of a run whose start had a projector's file laid over it."""

    def alter(e: Evidence) -> None:
        e.intent["parts"] = ["projector"]
        e.events.insert(0, load())
        e.base[0]["parts"] = [{"file": "mm_projector.bin", "keys": 2, "matched": 2, "unexpected": []}]
        for alteration in alterations:
            alteration(e)

    return alter


def continued(*alterations: Alteration) -> Alteration:
    """Of a run whose adapter begins as an earlier one has saved it."""

    def alter(e: Evidence) -> None:
        e.intent["adapter"]["continued"] = True
        paths = e.one("parameters")["path"]
        first = dict(zip(paths, e.one("parameters")["fingerprint"], strict=True))
        e.header["adapter"] = {
            path.removeprefix(BASE).replace(".default", "").replace(".modules_to_save", ""): {"float32": first[path]}
            for path in paths
            if "lora" in path or "modules_to_save" in path
        }
        for alteration in alterations:
            alteration(e)

    return alter


def of_base(e: Evidence) -> dict[str, Any]:
    part: dict[str, Any] = e.base[0]["parts"][0]
    return part


def factor(e: Evidence, ends: str) -> str:
    (found,) = [key for key in e.header["adapter"] if key.endswith(f"{ends}.weight")]
    return str(found)


def another_value(e: Evidence) -> None:
    e.header["adapter"][factor(e, FACTORS[0])] = {"float32": "?"}


SETTINGS: dict[str, Alteration] = {
    "parts_meet_the_model": laid_over(),
    "adapter_continues_as_saved": continued(),
}

SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "nothing_pickled": [
        ("Pickled", "another than the projector's", lambda e: (
            e.intent["save"].update(what="projector"), e.saved["files"].update({"b.bin": PICKLED}))),
        ("Pickled", "beside weights in the older format", lambda e: (
            e.intent["save"].update(pickled=True), e.saved["roles"].update(weights=["w.bin"]),
            e.saved["files"].update({"b.bin": PICKLED}))),
    ],
    "parts_meet_the_model": [
        ("NothingLoaded", "in training", laid_over(lambda e: e.one("load").update(matched=0, unexpected=["a", "b"]))),
        ("NothingLoaded", "an empty file", laid_over(lambda e: e.one("load").update(keys=0, matched=0))),
        ("NothingLoaded", "a stranger", laid_over(lambda e: of_base(e).update(matched=0, unexpected=["a", "b"]))),
        ("NothingLoaded", "where nobody said so", lambda e: (
            e.intent.update(parts=None), e.events.append(load(matched=0, unexpected=["a", "b"])))),
        ("KeysLeftOver", "in training", laid_over(lambda e: e.one("load").update(matched=1, unexpected=["b"]))),
        ("KeysLeftOver", "a stranger", laid_over(lambda e: of_base(e).update(matched=1, unexpected=["b"]))),
        ("KeysLeftOver", "after saving", laid_over(lambda e: e.reloaded.update(
            parts=[{**of_base(e), "matched": 1, "unexpected": ["b"]}]))),
    ],
    "adapter_continues_as_saved": [
        ("AdapterNotContinued", "another value", continued(another_value)),
        ("AdapterNotContinued", "not in the file", continued(lambda e: e.header["adapter"].pop(factor(e, FACTORS[3])))),
        ("AdapterNotContinued", "another precision", continued(
            lambda e: e.put("parameters", "dtype", "0.q_proj.lora_A.default.weight", "bfloat16"))),
        ("AdapterNotContinued", "a copy", continued(
            lambda e: e.put("parameters", "fingerprint", "connector.modules_to_save.default.weight", "?"))),
    ],
}  # fmt: skip

SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "nothing_pickled": [
        ("a projector's file", lambda e: (
            e.intent["save"].update(what="projector"), e.saved["files"].update({"mm_projector.bin": PICKLED}))),
        ("what trained beside the adapter", lambda e: (
            e.intent["save"].update(beside_adapter="b.bin"), e.saved["files"].update({"b.bin": PICKLED}))),
        ("weights in the older format", lambda e: (
            e.intent["save"].update(pickled=True), e.saved["roles"].update(weights=["w.bin"]),
            e.saved["files"].update({"w.bin": PICKLED}))),
    ],
    "parts_meet_the_model": [
        ("strictly", laid_over(lambda e: e.events.insert(0, load(strict=True)))),
        ("nobody said so, and nothing was", lambda e: e.intent.update(parts=None)),
    ],
    "adapter_continues_as_saved": [
        ("more in the file", continued(lambda e: e.header["adapter"].update(extra={"float32": "?"}))),
    ],
}  # fmt: skip
