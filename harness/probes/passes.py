"""The probes themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from harness.trace.fingerprint import as_hex, fingerprint

Arrays = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Probed:
    """What probes look at: the trained model, and one collated batch with an image and one of text alone."""

    model: Any
    batches: dict[str, dict[str, torch.Tensor]]


Probe = Callable[[Probed], "tuple[dict[str, Any], Arrays]"]
PROBES: dict[str, Probe] = {}


def probe(function: Probe) -> Probe:
    """Register a probe under its function's name."""
    PROBES[function.__name__] = function
    return function


@probe
def outputs(probed: Probed) -> tuple[dict[str, Any], Arrays]:
    """Logits on each batch: what the model that comes back from disk must give too."""
    logits = {name: logits_of(probed.model, batch) for name, batch in probed.batches.items()}
    return {"fingerprint": {name: as_hex(fingerprint(value)) for name, value in logits.items()}}, logits


@probe
def other_pixels(probed: Probed) -> tuple[dict[str, Any], Arrays]:
    """Logits on the image batch as it is, and with its pixels negated: a model that looks cannot give the same."""
    batch = probed.batches.get("image")
    if batch is None:
        return {"images": False}, {}
    seen = logits_of(probed.model, batch)
    other = logits_of(probed.model, {**batch, "pixel_values": -batch["pixel_values"]})
    difference = (seen - other).abs().amax()
    return {
        "images": True,
        "largest_difference": float(difference),
        "largest_logit": float(seen.abs().amax()),
    }, {}


def logits_of(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """The model's logits on a batch, float32 of shape (batch, length, vocabulary)."""
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    output = model(**inputs)
    logits: torch.Tensor = output["logits"] if isinstance(output, dict) else output.logits
    return logits.detach().float()
