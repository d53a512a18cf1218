"""Probes of an adapter turned off, and as it was before the first step."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

from harness.probes.exactly import twice
from harness.probes.guard import parameters_kept
from harness.probes.passes import Arrays, Probed, all_logits, fingerprints, largest, probe, trained_logits


@probe
def adapter_disabled(probed: Probed) -> tuple[dict[str, Any], Arrays]:
    """Logits with the adapter turned off, and how far its layers alone take the trained model from them.

    Turning an adapter off puts the originals of kept modules back too; for the effect their copies stay.
    """
    off = _logits_with(_turned_off(probed.model), probed)
    copies = any(hasattr(module, "original_module") for module in probed.model.modules())
    beside = _logits_with(_layers_turned_off(probed.model), probed) if copies else off
    return {"fingerprint": fingerprints(off), "effect": largest(trained_logits(probed), beside)}, off


@probe
def adapter_at_start(probed: Probed) -> tuple[dict[str, Any], Arrays]:
    """Logits with every parameter as it was before the first step, and how far they are from those without adapter."""
    if probed.first is None:
        return {"kept": False}, {}
    with parameters_kept(probed.model):
        for path, parameter in probed.model.named_parameters():
            parameter.copy_(probed.first[path])
        on = all_logits(probed)
        facts = twice(probed, lambda exact: _beside_off(exact, on if exact is probed else all_logits(exact)))
    return {"kept": True, **facts}, on


def _beside_off(probed: Probed, on: Arrays) -> dict[str, Any]:
    off = _logits_with(_turned_off(probed.model), probed)
    return {"largest_difference": largest(on, off), "largest_logit": largest(off)}


def _logits_with(state: contextlib.AbstractContextManager[None], probed: Probed) -> Arrays:
    with state:
        return all_logits(probed)


@contextlib.contextmanager
def _turned_off(model: Any) -> Iterator[None]:
    """peft warns where biases that were trained stay: whether that matters is for the checks to say.

    It also sets what it turns on, and in some releases what it turns off, to require gradients.
    """
    if not hasattr(model, "disable_adapter"):
        with _factors_turned_off(model):
            yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with model.disable_adapter():
            model.requires_grad_(False)
            yield
        model.requires_grad_(False)


@contextlib.contextmanager
def _factors_turned_off(model: Any) -> Iterator[None]:
    """Of a trainer's own LoRA: what the factors add is nothing."""
    own = [module._modules["lora"] for module in model.modules() if module._modules.get("lora") is not None]
    for factors in own:
        factors.forward = lambda x: 0.0
    try:
        yield
    finally:
        for factors in own:
            del factors.forward


@contextlib.contextmanager
def _layers_turned_off(model: Any) -> Iterator[None]:
    layers = [module for module in model.modules() if hasattr(module, "get_base_layer")]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)
        model.requires_grad_(False)
