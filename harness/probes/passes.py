"""What probes are given, and the probes that any model can pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from harness.data.prompts import greedy_ids
from harness.trace.fingerprint import as_hex, fingerprint
from harness.trace.nested import mapped

Arrays = dict[str, torch.Tensor]
Frozen = dict[str, list[torch.nn.Module]]


Batch = dict[str, Any]


@dataclass(frozen=True)
class Feeding:
    """How a family feeds its model: several samples in one batch, padding, and where pictures go.

    `together` is a batch whose rows hold the samples `names`, some of a probe's own batches among them. `padded`
    widens a batch on a side, `places` says where in it pictures belong; the patterns name the module that makes their
    features, if there is one, and the list of layers in the one that is given the embeddings.
    """

    names: tuple[str, ...]
    together: Batch
    padded: Callable[[Batch, str], Batch]
    places: Callable[[Batch], torch.Tensor]
    connector: str | None
    layers: str
    features: str | None = None  # the method that makes them, where it is no module alone; empty: no token has any


@dataclass(frozen=True)
class Probed:
    """What probes look at: the trained model, and one collated batch with an image and one of text alone.

    `arguments` gives the keyword arguments of a forward pass on a batch, `generation` those of `generate`; `first` the
    values that parameters had before the first step, by path, where they were kept; `frozen` the modules of each frozen
    component that were in train mode in training. `known` holds the trained model's logits once some probe has asked
    for them: all probes of a run are given the same object. `feeding` is there if some probe needs it.
    """

    model: Any
    batches: dict[str, Batch]
    arguments: Callable[[Batch], dict[str, Any]] = dict
    generation: Callable[[Batch], dict[str, Any]] = dict
    first: Mapping[str, torch.Tensor] | None = None
    frozen: Frozen = field(default_factory=dict)
    known: Arrays = field(default_factory=dict)
    feeding: Feeding | None = None


Probe = Callable[[Probed], "tuple[dict[str, Any], Arrays]"]
PROBES: dict[str, Probe] = {}


def probe(function: Probe) -> Probe:
    """Register a probe under its function's name."""
    PROBES[function.__name__] = function
    return function


@probe
def outputs(probed: Probed) -> tuple[dict[str, Any], Arrays]:
    """Logits on each batch: what the model that comes back from disk must give too."""
    logits = trained_logits(probed)
    return {"fingerprint": fingerprints(logits)}, logits


FLAT = "flattened_patches"  # each patch is the two numbers of its place, then its pixels
PIXELS = ("pixel_values", FLAT)  # what inputs of pictures are called, or begin with


@probe
def other_pixels(probed: Probed) -> tuple[dict[str, Any], Arrays]:
    """Logits on the image batch as it is, and with its pixels negated: a model that looks cannot give the same.

    Where pictures come more than once, for a further tower, each of these inputs is negated by itself too.
    """
    batch = probed.batches.get("image")
    if batch is None:
        return {"images": False}, {}
    seen = trained_logits(probed)["image"]
    pixels, *inputs = sorted(name for name in batch if name.startswith(PIXELS))

    def difference(name: str) -> float:
        negated = _but_for_places if name == FLAT else torch.neg
        other = logits_of(probed, {**batch, name: mapped(batch[name], negated)})
        return float((seen - other).abs().amax())

    further = {"further": {name: difference(name) for name in inputs}} if inputs else {}
    return {
        "images": True,
        "largest_difference": difference(pixels),
        "largest_logit": float(seen.abs().amax()),
        **further,
    }, {}


def _but_for_places(patches: torch.Tensor) -> torch.Tensor:
    return torch.cat([patches[..., :2], -patches[..., 2:]], dim=-1)


@probe
def generated(probed: Probed) -> tuple[dict[str, Any], Arrays]:
    """The ids that greedy decoding adds to each batch's sample."""
    return {
        "ids": {name: greedy_ids(probed.model, probed.generation(batch)) for name, batch in probed.batches.items()}
    }, {}


def trained_logits(probed: Probed) -> Arrays:
    """Logits of the trained model as it is, on each batch; computed once for all probes that ask."""
    if not probed.known:
        probed.known.update(all_logits(probed))
    return probed.known


def all_logits(probed: Probed) -> Arrays:
    """Logits of the model in whatever state it is in, on each batch."""
    return {name: logits_of(probed, batch) for name, batch in probed.batches.items()}


def logits_of(probed: Probed, batch: Batch) -> torch.Tensor:
    """The model's logits on a batch, float32 of shape (batch, length, vocabulary)."""
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    output = probed.model(**probed.arguments(inputs))
    logits: torch.Tensor = output["logits"] if isinstance(output, dict) else output.logits
    return logits.detach().float()


def fingerprints(arrays: Arrays) -> dict[str, str]:
    return {name: as_hex(fingerprint(value)) for name, value in arrays.items()}


def largest(arrays: Arrays, others: Arrays | None = None) -> dict[str, float]:
    """The largest magnitude of each array, or of its difference from another of the same name.

    Logits of one sample with a prompt before it and without are compared where both have them: from the end.
    """
    differences = arrays
    if others is not None:
        lengths = {name: min(value.shape[1], others[name].shape[1]) for name, value in arrays.items()}
        differences = {
            name: value[:, -lengths[name] :] - others[name][:, -lengths[name] :] for name, value in arrays.items()
        }
    return {name: float(value.abs().amax()) for name, value in differences.items()}
