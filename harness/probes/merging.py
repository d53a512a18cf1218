"""The probe that merges an adapter into the weights under it, and takes it out again."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import torch

from harness.probes.exactly import twice
from harness.probes.guard import parameters_kept
from harness.probes.passes import Arrays, Probed, all_logits, largest, probe, trained_logits

Layers = dict[str, Any]
Weights = dict[str, list[torch.Tensor]]


@probe
def adapter_merged(probed: Probed) -> tuple[dict[str, Any], Arrays]:
    """Logits once the adapter is merged, and what merging, merging again and unmerging do to each module's weights."""
    layers = {path: module for path, module in probed.model.named_modules() if hasattr(module, "get_base_layer")}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return twice(probed, lambda exact: _merge_and_back(exact, layers)), {}
    except Exception as error:
        return {"raised": f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"}, {}


def _merge_and_back(probed: Probed, layers: Layers) -> dict[str, Any]:
    """How far the merged logits are from the trained ones, and per module: the largest weight, and the largest change
    by merging, by merging again, and by merging and unmerging."""
    model, trained = probed.model, trained_logits(probed)
    with parameters_kept(model), _merged_lists_kept(layers):
        before = _weights(layers)
        model.merge_adapter()
        merged, logits = _weights(layers), all_logits(probed)
        with parameters_kept(model), _merged_lists_kept(layers):
            model.merge_adapter()
            again = _differences(_weights(layers), merged)
        model.unmerge_adapter()
        back = _differences(_weights(layers), before)
    modules = {
        "path": list(layers),
        "dtype": [str(weights[0].dtype).split(".")[-1] for weights in before.values()],
        "largest": [max(_peak(before[path]), _peak(merged[path])) for path in layers],
        "changed": _differences(merged, before),
        "again": again,
        "back": back,
    }
    return {"modules": modules, "largest_difference": largest(trained, logits), "largest_logit": largest(trained)}


def _weights(layers: Layers) -> Weights:
    """Copies of what lies under each adapter."""
    return {path: [p.detach().clone() for p in layer.get_base_layer().parameters()] for path, layer in layers.items()}


def _differences(weights: Weights, others: Weights) -> list[float]:
    return [_peak([a.float() - b.float() for a, b in zip(weights[p], others[p], strict=True)]) for p in weights]


def _peak(tensors: list[torch.Tensor]) -> float:
    return max(float(tensor.abs().amax()) for tensor in tensors)


@contextlib.contextmanager
def _merged_lists_kept(layers: Layers) -> Iterator[None]:
    """peft notes on each layer what is merged there; the notes are undone with the weights."""
    notes = [(layer, list(layer.merged_adapters)) for layer in layers.values()]
    try:
        yield
    finally:
        for layer, merged in notes:
            layer.merged_adapters[:] = merged
