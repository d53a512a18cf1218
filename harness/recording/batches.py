"""What a forward pass was given, as numbers that identify it without keeping it: no text and no pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from harness.recording.by_numpy import as_array, numpy_here, weights_as_array
from harness.recording.digests import Digest
from harness.recording.learned import learned_rows, row_lengths
from harness.trace.fingerprint import as_hexes, bits, weights
from harness.trace.nested import tensors_in

IGNORED_LABEL = -100
PIXELS = ("pixel_values", "images")  # under which of them a forward takes its pictures


def batch_in(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    """The batch among a forward's arguments: the keyword arguments themselves, or the one mapping that has the ids."""
    if "input_ids" not in kwargs:
        for value in (*args, *kwargs.values()):
            if isinstance(value, Mapping) and "input_ids" in value:
                return value
    return kwargs


def labels_that_count(targets: torch.Tensor, ignored: int) -> int:
    """How many class indices a loss was computed from."""
    return int(torch.count_nonzero(targets != ignored))


def target_facts(targets: torch.Tensor, ignored: int, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The same of class indices that a loss was computed from, in rows where they are one for each token id."""
    targets, ids = _here(targets), inputs.get("input_ids")
    facts: dict[str, Any] = {"labels": labels_that_count(targets, ignored)}
    if isinstance(ids, torch.Tensor) and ids.dim() == 2 and ids.numel() == targets.numel():
        facts["learned"] = learned_rows(targets.view(ids.shape), ignored, _here(inputs.get("attention_mask")))
    return facts


def batch_facts(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Labels that count and where they stand, one fingerprint and length per sample, and the shapes, of a model's
    keyword arguments."""
    facts: dict[str, Any] = {}
    labels, ids, mask = (_here(inputs.get(name)) for name in ("labels", "input_ids", "attention_mask"))
    if isinstance(mask, torch.Tensor) and _no_padding(mask):  # there is nothing more to ask it
        mask = None
    if isinstance(labels, torch.Tensor):
        if isinstance(ids, torch.Tensor) and ids.shape == labels.shape and labels.dim() == 2:
            learned = learned_rows(labels, IGNORED_LABEL, mask)
            counted = sum(end - start for row in learned["stretches"] for start, end in row)
            facts.update(labels=counted, learned=learned)
        else:
            facts["labels"] = labels_that_count(labels, IGNORED_LABEL)
    if isinstance(ids, torch.Tensor) and ids.dim() == 2:
        facts["samples"] = sample_fingerprints(ids, mask)
        facts["lengths"] = row_lengths(ids, mask)
    pixels = next((inputs[name] for name in PIXELS if inputs.get(name) is not None), None)
    if seen := list(tensors_in(pixels)):
        facts["pixels"] = Digest()(seen)
    if (items := _number(inputs.get("num_items_in_batch"))) is not None:
        facts["items"] = items  # a model that is told how many tokens its step learns divides by them, not by its own
    facts["shapes"] = {name: list(value.shape) for name, value in sorted(inputs.items()) if _is_tensor(value)}
    return facts


def sample_fingerprints(ids: torch.Tensor, mask: Any | None = None) -> list[str]:
    """One fingerprint per row of token ids (batch, length), without its padding."""
    padded = isinstance(mask, torch.Tensor) and mask.shape == ids.shape and not _no_padding(mask)
    if not padded and (seen := as_array(ids)) is not None:
        words = numpy_here().ascontiguousarray(seen, "int64").view("int32")
        return as_hexes((words * weights_as_array(words.shape[1])).sum(1).tolist())
    words = bits(ids.to(torch.int64)).view(len(ids), -1)
    odd = weights(0, words.shape[1], ids.device)
    if mask is not None and padded:
        keep = mask.bool()
        places = (keep.cumsum(1) - 1).clamp_(min=0)
        odd = (odd.view(-1, 2)[places] * keep[..., None]).view(len(ids), -1)
    return as_hexes((words * odd).sum(1).tolist())


def _no_padding(mask: torch.Tensor) -> bool:
    seen = as_array(mask)
    return bool(mask.all()) if seen is None else numpy_here().count_nonzero(seen) == seen.size


def loss_of(output: Any) -> torch.Tensor | None:
    """The scalar loss in a model's output, under its usual name or as the first of a tuple."""
    candidate = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    if candidate is None and isinstance(output, (tuple, list)) and output:
        candidate = output[0]
    return candidate if isinstance(candidate, torch.Tensor) and candidate.numel() == 1 else None


def auxiliary_loss_of(output: Any) -> torch.Tensor | None:
    """What a model with experts gives beside its loss, for them to be loaded evenly."""
    found = output.get("aux_loss") if isinstance(output, Mapping) else getattr(output, "aux_loss", None)
    return found if isinstance(found, torch.Tensor) and found.numel() == 1 else None


def _number(value: Any) -> float | None:
    """A number, or a tensor of one."""
    if isinstance(value, torch.Tensor):
        return float(value) if value.numel() == 1 else None
    return float(value) if isinstance(value, (int, float)) else None


def _here(value: Any) -> Any:
    """A tensor's numbers where they can be looked at one by one."""
    return value.cpu() if isinstance(value, torch.Tensor) else value


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)
