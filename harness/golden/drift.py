"""What has drifted, in the words in which people ask: does it load, same tokens, same logits, same loss, same files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.comparator import Difference
from harness.comparator.observed import STAGES

ASPECTS = {
    "run": (),
    "tokens": (
        "data", "tokens", "input tokens", "encoded tokens", "samples", "labels", "tokenizer class", "chat template",
    ),
    "pixels": ("input pixels", "encoded pixels", "pixels", "processor class"),
    "loss": ("loss", "value of backward"),
    "gradients": (
        "gradient norm at backward", "gradient norm at unscale", "gradient norm at optimizer", "norm that was clipped",
    ),
    "weights": (
        "shape", "dtype", "trains", "first value", "drawn value", "weights",
        "weights' mean square", "weights' peak", "moved",
        "final weights", "final values", "skipped", "loss scale", "learning rate", "optimizer state",
        "final optimizer state", "random state", "steps",
    ),
    "logits": ("outputs", "generated ids", "outputs of the old checkpoint", "generated ids of the old checkpoint"),
    "files": ("saved tensor", "saved file"),
    "loads": (
        "missing keys", "unexpected keys", "mismatched keys", "model class", "loaded weights", "ties", "vocabulary",
        "loading the tokenizer", "loading the model", "loading the outputs", "loading the vocabulary",
        "loading the processor",
    ),
}  # fmt: skip
"""What a golden promises, in the order in which a run goes, and the comparator's fields of each."""

_OF = {field: aspect for aspect, fields in ASPECTS.items() for field in fields}


@dataclass(frozen=True)
class Drift:
    """One promise that is not kept: in how many places, and the first of them."""

    aspect: str
    places: int
    first: str


def drifts(differences: Iterable[Difference]) -> tuple[Drift, ...]:
    """The promises that are not kept, that first which a run comes to first."""
    groups: dict[str, list[Difference]] = {}
    for one in sorted(differences, key=_when):
        groups.setdefault(aspect_of(one), []).append(one)
    return tuple(Drift(aspect, len(group), str(group[0])) for aspect, group in groups.items())


def aspect_of(one: Difference) -> str:
    """The promise that a difference is of."""
    return _OF.get(one.place.field, "run")


def _when(difference: Difference) -> tuple[int, int, int]:
    place = difference.place
    return STAGES.index(place.stage), place.step or 0, place.micro or 0
