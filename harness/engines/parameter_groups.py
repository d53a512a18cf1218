"""Which parameters an optimizer gets, at which rate and decay."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from harness.recipe import Optimizer
from harness.refusal import Refused


def parameter_groups(model: Any, settings: Optimizer, component_of: Callable[[str], str]) -> list[dict[str, Any]]:
    """Groups of the trainable parameters by rate and weight decay; norms and biases (one dimension) do not decay.

    Raises Refused where a factor is for nothing that trains, or two are for one parameter.
    """
    trained = [path for path, parameter in model.named_parameters() if parameter.requires_grad]
    for name in settings.rate_factors:
        if not any(re.search(name, path) for path in trained):
            what = f"optimizer.rate_factors: {name!r} is in the name of nothing that trains"
            raise Refused(what, do=f"names are like {trained[0]}" if trained else "train something")
    rates: dict[str, float] = {str(name): rate for name, rate in settings.component_rates.items()}
    groups: dict[tuple[float, float], list[Any]] = {}
    for path, parameter in model.named_parameters():
        if parameter.requires_grad:
            rate = rates.get(component_of(path), settings.learning_rate) * _factor(path, settings.rate_factors)
            decay = settings.weight_decay if parameter.dim() > 1 else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
    return [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()]


def _factor(path: str, factors: Mapping[str, float]) -> float:
    """How many times the rate the parameter at a path has."""
    met = [name for name in factors if re.search(name, path)]
    if len(met) > 1:
        what = f"optimizer.rate_factors: {' and '.join(met)} are both in {path}"
        raise Refused(what, do="make each name say its own parameters")
    return factors[met[0]] if met else 1.0
