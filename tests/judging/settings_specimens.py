"""Specimens of settings that are others after a run than before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Evidence = Any
Alteration = Callable[[Evidence], object]

SETTINGS_BEFORE = {
    "mm_vision_select_layer": -2,
    "image_size_aux": 768,
    "text_config.vocab_size": 8,
    "mm_vision_tower": "a/clip",
    "dtype": "float32",
}


def saved(*alterations: Alteration) -> Alteration:
    """Of a run that saves a configuration."""

    def alter(e: Evidence) -> None:
        e.saves("full")
        e.base[0]["settings"] = dict(SETTINGS_BEFORE)
        e.reloaded["settings"] = dict(SETTINGS_BEFORE)
        for alteration in alterations:
            alteration(e)

    return alter


def now(**settings: Any) -> Alteration:
    return lambda e: e.reloaded["settings"].update(settings)


SETTINGS: dict[str, Alteration] = {"settings_kept": saved()}

SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "settings_kept": [
        ("SettingChanged", "another layer", saved(now(mm_vision_select_layer=-1))),
        ("SettingChanged", "one entry gone", saved(lambda e: e.reloaded["settings"].pop("image_size_aux"))),
        ("SettingChanged", "one entry more", saved(now(mm_use_im_patch_token=True))),
        ("SettingChanged", "a vocabulary that did not grow", saved(now(**{"text_config.vocab_size": 9}))),
        ("SettingChanged", "in a projector's configuration", saved(
            lambda e: e.intent["save"].update(what="projector"), now(mm_vision_select_layer=-1))),
        ("SettingChanged", "in the configuration beside an adapter", saved(
            lambda e: e.intent["save"].update(what="adapter", beside_adapter="non_lora_trainables.bin"),
            now(mm_vision_select_layer=-1))),
    ],
}  # fmt: skip

SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "settings_kept": [
        ("what the library writes", saved(now(dtype="bfloat16", transformers_version="5"))),
        ("where a tower comes from", saved(now(mm_vision_tower="b/clip", optimize_vision_tower=True))),
        ("names of code", saved(now(**{"auto_map.AutoConfig": "a.B"}))),
        ("a vocabulary that has grown", saved(
            lambda e: e.intent.update(resized=["connector"]), now(**{"text_config.vocab_size": 9}))),
    ],
}  # fmt: skip
