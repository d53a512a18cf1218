"""Specimens of saves in other formats, or rounded to fp16: what lies in the file, and what comes back of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from harness.trace.array_fingerprint import fingerprint
from tests.judging.adapter_specimens import filed
from tests.judging.faultless_model import BASE, PARAMETERS
from tests.judging.rank_specimens import near
from tests.judging.saved_specimens import tied, whole

Evidence = Any
Alteration = Callable[[Evidence], object]
A0, VISION = "language.layers.0.q_proj.lora_A.default.weight", "vision.norm.weight"


def last(index: int) -> Any:
    """The last value of a parameter, of which fp16 has not all bits."""
    return np.array([[index + 1 / 3, -0.1], [0.0, 1e-9]], dtype=np.float32)


def in_half(index: int) -> str:
    return fingerprint(last(index).astype(np.float16), "float16")


def and_back(index: int) -> str:
    return fingerprint(last(index).astype(np.float16).astype(np.float32), "float32")


def halved(*alterations: Alteration) -> Alteration:
    """Of a run that saves the whole model in fp16."""

    def alter(e: Evidence) -> None:
        e.saves("full")
        e.intent["save"].update(half=True)
        save_file(
            {f"last/{at}": last(at) for at in range(len(PARAMETERS))}, e.directory / "rank-0" / "last.safetensors"
        )
        e.one("final")["arrays"] = "last.safetensors"
        for at, (path, _, _) in enumerate(PARAMETERS):
            e.saved["tensors"][path].update(dtype="F16", fingerprint=in_half(at))
            e.reloaded["fingerprints"][f"{BASE}{path}"] = and_back(at)
            if (key := path.replace(".base_layer", "")) in e.header["base"]:
                e.header["base"][key]["float16"] = in_half(at)
        for alteration in alterations:
            alteration(e)

    return alter


def halved_and_trained_so(e: Evidence) -> None:
    """Trained in fp16 too, as which it comes back."""
    halved()(e)
    e.one("parameters")["dtype"] = ["float16"] * len(PARAMETERS)
    for at, (path, _, _) in enumerate(PARAMETERS):
        e.reloaded["fingerprints"][f"{BASE}{path}"] = in_half(at)


def adapter_halved(*alterations: Alteration) -> Alteration:
    """Of a run that saves an adapter in fp16, with nothing trained beside it."""

    def alter(e: Evidence) -> None:
        copy = "connector.modules_to_save.default.weight"
        e.intent.update(trains=[])
        e.put("parameters", "role", copy, "base")
        e.put("parameters", "requires_grad", copy, False)
        filed()(e)
        e.intent["save"].update(half=True)
        save_file(
            {f"last/{at}": last(at) for at in range(len(PARAMETERS))}, e.directory / "rank-0" / "last.safetensors"
        )
        e.one("final")["arrays"] = "last.safetensors"
        for at, (path, role, _) in enumerate(PARAMETERS):
            if role == "adapter":
                key = f"{BASE}{path}".replace(".default", "")
                e.saved["tensors"][key] = {"dtype": "F16", "fingerprint": in_half(at)}
                e.reloaded["fingerprints"][f"{BASE}{path}"] = and_back(at)
        for alteration in alterations:
            alteration(e)

    return alter


def without_the_tower(e: Evidence) -> None:
    """The file leaves the tower out, which comes from the base as it is."""
    e.intent["save"].update(left_out=["vision\\."])
    for at, (path, _, _) in enumerate(PARAMETERS):
        if path.startswith("vision."):
            del e.saved["tensors"][path]
            e.reloaded["fingerprints"][f"{BASE}{path}"] = e.one("final")["fingerprint"][at]


def as_it_was(e: Evidence, path: str) -> None:
    """One tensor in the file is not rounded."""
    at = e.index(path)
    e.saved["tensors"][path].update(dtype="F32", fingerprint=e.one("final")["fingerprint"][at])


def pickled(e: Evidence, *, asked_for: bool) -> None:
    """The weights are in torch's own format."""
    e.intent["save"].update(pickled=asked_for)
    e.saved["roles"]["weights"] = ["pytorch_model.bin"]
    e.saved["files"]["pytorch_model.bin"] = {"pickled": True}


def native(e: Evidence) -> None:
    """A state dict of its own is saved, which names a shared tensor under each of its names."""
    whole(tied)(e)
    e.intent["save"].update(what="native", native_file="out.pth")
    e.saved["files"]["out.pth"] = {"pickled": True}


def own_format(e: Evidence) -> None:
    e.intent["save"].update(own_format=True, native_file="lora.pth")
    e.saved["files"]["lora.pth"] = {"pickled": True}


SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "adapter_file_holds_adapter_only": [
        ("AdapterTensorDiffers", "not rounded, where all is", adapter_halved(
            lambda e: e.saved["tensors"][f"{BASE}{A0}".replace(".default", "")].update(dtype="F32"))),
    ],
    "nothing_pickled": [
        ("Pickled", "weights that nobody asked for in that format", lambda e: pickled(e, asked_for=False)),
    ],
    "saved_directory_loads": [
        ("KeysLost", "unexpected ones that the file leaves out", halved(
            without_the_tower, lambda e: e.reloaded.update(unexpected=[VISION]))),
        ("KeysLost", "missing ones that the file does not leave out", halved(
            without_the_tower, lambda e: e.reloaded.update(missing=[VISION, A0]))),
    ],
    "reloaded_outputs_equal_image": [
        ("OutputsDiffer", "twice what rounding to fp16 explains", halved(lambda e: near(e, 1 + 2.0**-6))),
    ],
    "saved_tensors_as_trained": [
        ("TensorDiffers", "not rounded, where all is", halved(lambda e: as_it_was(e, A0))),
        ("TensorDiffers", "rounded, and called what it was", halved(
            lambda e: e.saved["tensors"][A0].update(dtype="F32"))),
        ("FrozenSavedAltered", "another than the base's, rounded", halved(
            lambda e: e.header["base"][VISION].update(float16="?"))),
        ("TensorUnasked", "what the file leaves out", halved(
            without_the_tower, lambda e: e.saved["tensors"].update({VISION: dict(e.saved["tensors"][A0])}))),
    ],
    "reloaded_parameters_equal": [
        ("ParametersDiffer", "not rounded, where all is", halved(lambda e: e.reloaded["fingerprints"].update(
            {f"{BASE}{A0}": e.one("final")["fingerprint"][e.index(A0)]}))),
        ("ParametersDiffer", "rounded, though the file leaves it out", halved(
            without_the_tower,
            lambda e: e.reloaded["fingerprints"].update({f"{BASE}{VISION}": and_back(e.index(VISION))}))),
    ],
}  # fmt: skip

SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "adapter_file_holds_adapter_only": [("rounded", adapter_halved())],
    "nothing_pickled": [
        ("weights in the format that was asked for", lambda e: pickled(e, asked_for=True)),
        ("no weights at all", lambda e: (e.intent["save"].update(pickled=True), e.saved["roles"].pop("weights"))),
        ("a native state dict", native),
        ("an adapter's factors as a state dict", own_format),
    ],
    "ties_kept": [("under each of its names in a state dict", native)],
    "saved_directory_loads": [
        ("missing is what the file leaves out", halved(
            without_the_tower, lambda e: e.reloaded.update(missing=[VISION]))),
    ],
    "reloaded_outputs_equal_image": [("rounding to fp16", halved(lambda e: near(e, 1 + 2.0**-8)))],
    "saved_tensors_as_trained": [("rounded", halved()), ("rounded, without the tower", halved(without_the_tower))],
    "reloaded_parameters_equal": [
        ("rounded", halved()),
        ("trained in 16 bits, and loaded in them", halved_and_trained_so),
        ("rounded, without the tower", halved(without_the_tower)),
        ("an adapter rounded, on a base that is not", adapter_halved()),
    ],
}  # fmt: skip
