"""Probes that make one pass more than once: in evaluation, and with what is frozen as it was in training."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from harness.probes.passes import Arrays, Frozen, Probed, all_logits, largest, logits_of, probe, trained_logits
from harness.recording.undisturbed import generator_states
from harness.trace.fingerprint import bits

PASSES = 2
PASSES_OF_CHANCE = 32  # where random numbers were drawn: a layer may be dropped once in ten passes only


def frozen_in_train_mode(model: nn.Module, component_of: Callable[[str], str]) -> Frozen:
    """By component of which no parameter requires a gradient, its modules that are in train mode.

    Asked before a probe begins: inside, nothing requires a gradient and nothing is in train mode.
    """
    owners = [(component_of(path), parameter.requires_grad) for path, parameter in model.named_parameters()]
    idle = {component for component, _ in owners} - {component for component, trains in owners if trains}
    frozen: Frozen = {}
    for path, module in model.named_modules():
        if path and module.training and (component := component_of(f"{path}.")) in idle:
            frozen.setdefault(component, []).append(module)
    return frozen


@probe
def evaluated_twice(probed: Probed) -> tuple[dict[str, Any], Arrays]:
    """How far a second pass of each batch is from the first, and which buffers the second has changed."""
    first = trained_logits(probed)
    before = {path: buffer.detach().clone() for path, buffer in probed.model.named_buffers()}
    again = all_logits(probed)
    moved = [path for path, buffer in probed.model.named_buffers() if not _equal(buffer, before[path])]
    return {"largest_difference": _differences(again, first), "buffers_changed": moved}, {}


@probe
def frozen_in_training(probed: Probed) -> tuple[dict[str, Any], Arrays]:
    """By frozen component, how far passes are from each other while it is in train mode and all else is not.

    All of them at once first: where those passes are equal and drew no random number, so is each by itself.
    """
    everything = [module for modules in probed.frozen.values() for module in modules]
    off, drew = _off(probed, everything, PASSES)
    if off == 0 and not drew:
        return {"passes": PASSES, "largest_difference": dict.fromkeys(probed.frozen, 0.0)}, {}
    each = {component: _off(probed, modules, PASSES_OF_CHANCE)[0] for component, modules in probed.frozen.items()}
    return {"passes": PASSES_OF_CHANCE, "largest_difference": each}, {}


def _off(probed: Probed, modules: list[nn.Module], passes: int) -> tuple[float, bool]:
    """How far passes of one batch are from the first of them with these modules in train mode, and whether random
    numbers were drawn."""
    batch = probed.batches.get("image") or next(iter(probed.batches.values()))
    with _in_train_mode(modules):
        before = generator_states(), random.getstate()
        first = logits_of(probed, batch)
        off = max(_distance(logits_of(probed, batch), first) for _ in range(passes - 1))
        equal = all(map(torch.equal, before[0], generator_states()))
        drew = not equal or before[1] != random.getstate()
    return off, drew


@contextlib.contextmanager
def _in_train_mode(modules: list[nn.Module]) -> Iterator[None]:
    for module in modules:
        module.training = True
    try:
        yield
    finally:
        for module in modules:
            module.training = False


def _differences(arrays: Arrays, others: Arrays) -> dict[str, float]:
    """The largest difference of each array from its namesake, 0 only where every bit is equal."""
    return {name: _distance(value, others[name]) for name, value in arrays.items()}


def _distance(value: torch.Tensor, other: torch.Tensor) -> float:
    return 0.0 if _equal(value, other) else largest({"": value}, {"": other})[""] or float("nan")


def _equal(value: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether all bits are equal."""
    return value.shape == other.shape and torch.equal(bits(value), bits(other))
