"""Specimens of towers that are made anew from directories of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Evidence = Any
Alteration = Callable[[Evidence], object]

VISION, CONNECTOR = "vision.norm.weight", "connector.weight"
BACK = "base_model.model.vision.norm.weight"
BACK_OF_CONNECTOR = "base_model.model.connector.modules_to_save.default.weight"


def anew(*alterations: Alteration, unused: str = VISION) -> Alteration:
    """Of a run whose tower is made anew, before it and after."""

    def alter(e: Evidence) -> None:
        e.intent["own_towers"] = ["mm_vision_tower"]
        tower = {"setting": "mm_vision_tower", "directory": "clip", "unused": [unused]}
        e.events.insert(0, {"kind": "towers", "towers": [dict(tower)]})
        e.reloaded["towers"] = [dict(tower)]
        e.saved["tensors"][VISION] = {"fingerprint": e.reloaded["fingerprints"][BACK]}
        for alteration in alterations:
            alteration(e)

    return alter


def unsaved(e: Evidence) -> None:
    """Nothing is saved, and nothing loaded again."""
    e.intent["save"]["what"] = "nothing"
    e.stream.clear()


SETTINGS: dict[str, Alteration] = {"unused_weights_expected": anew()}

SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "unused_weights_expected": [
        ("TrainedTowerLost", "one that trained", anew(lambda e: e.intent.update(trains=["vision", "connector"]))),
        ("TowerDiffers", "from the base", anew(lambda e: e.header["base"][VISION].update(float32="?"))),
        ("TowerDiffers", "from the base, with nothing saved", anew(
            lambda e: e.header["base"][VISION].update(float32="?"), unsaved)),
        ("TowerDiffers", "from the save", anew(lambda e: e.saved["tensors"][VISION].update(fingerprint="?"))),
        ("TowerDiffers", "as it comes back", anew(lambda e: e.reloaded["fingerprints"].update({BACK: "?"}))),
        ("TowerDiffers", "where nobody said so", anew(
            lambda e: (e.intent.update(own_towers=None), e.header["base"][VISION].update(float32="?")))),
    ],
}  # fmt: skip

SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "unused_weights_expected": [
        ("kept, and trained", anew(
            lambda e: (e.intent.update(trains=["vision", "connector"]), e.reloaded["towers"][0].update(unused=[])))),
        ("nothing saved", anew(unsaved)),
        ("not in the save", anew(lambda e: e.saved["tensors"].pop(VISION))),
        ("nobody said so, and none was", lambda e: e.intent.update(own_towers=None)),
    ],
}  # fmt: skip
