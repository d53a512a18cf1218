"""Which parameters an optimizer gets, at which rate and decay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.recipe import Optimizer


def parameter_groups(model: Any, settings: Optimizer, component_of: Callable[[str], str]) -> list[dict[str, Any]]:
    """Groups of the trainable parameters by rate and weight decay; norms and biases (one dimension) do not decay."""
    rates: dict[str, float] = {str(name): rate for name, rate in settings.component_rates.items()}
    groups: dict[tuple[float, float], list[Any]] = {}
    for path, parameter in model.named_parameters():
        if parameter.requires_grad:
            rate = rates.get(component_of(path), settings.learning_rate)
            decay = settings.weight_decay if parameter.dim() > 1 else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
    return [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()]
