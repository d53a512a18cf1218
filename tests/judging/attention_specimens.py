"""Specimens of how attention is computed: layer by layer, and in two runs that must come to the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.judging.equivalence_specimens import agrees, clipped, one_gradient_twice_as_large
from tests.judging.faultless_model import BASE

Evidence = Any
Alteration = Callable[[Evidence], object]
LAYERS = {"vision": ("vision.layers.0.attn",), "language": ("language.layers.0.attn", "language.layers.1.attn")}


def asked(how: str = "sdpa", *components: str) -> Alteration:
    """Components are asked to compute attention in a way, and every layer does."""

    def alter(e: Evidence) -> None:
        e.intent["mechanisms"]["attention"] = dict.fromkeys(components or LAYERS, how)
        e.one("model")["attention"] = {f"{BASE}{path}": how for paths in LAYERS.values() for path in paths}

    return alter


def seen_otherwise(*paths: str, components: tuple[str, ...] = ()) -> Alteration:
    """Some layers compute it line by line, where one call was asked for."""

    def alter(e: Evidence) -> None:
        asked("sdpa", *components)(e)
        e.one("model")["attention"].update({f"{BASE}{path}": "eager" for path in paths})

    return alter


def unseen(component: str) -> Alteration:
    def alter(e: Evidence) -> None:
        asked()(e)
        for path in LAYERS[component]:
            e.one("model")["attention"].pop(f"{BASE}{path}")

    return alter


SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "attention_as_asked": [
        ("OtherAttention", "one layer", seen_otherwise("language.layers.1.attn")),
        ("OtherAttention", "a whole tower", seen_otherwise("vision.layers.0.attn")),
        ("OtherAttention", "both layers", seen_otherwise(*LAYERS["language"], components=("language",))),
        ("OtherAttention", "no layer of the component says how", unseen("language")),
    ],
    "attention_changes_nothing": [
        ("AttentionMatters", "gradients twice as large", agrees("eager-attention", clipped(2.0))),
        ("AttentionMatters", "one gradient", agrees("eager-attention", one_gradient_twice_as_large)),
    ],
}
SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "attention_as_asked": [
        ("line by line, as asked", asked("eager")),
        ("another way in what cannot be told", seen_otherwise("vision.layers.0.attn", components=("language",))),
    ],
    "attention_changes_nothing": [("gradients within rounding", agrees("eager-attention", clipped(1.00001)))],
}
SETTINGS: dict[str, Alteration] = {
    "attention_as_asked": asked(),
    "attention_changes_nothing": agrees("eager-attention"),
}
