"""Which parameters should train, worked out from the intent and the recorded module tree alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Parameter


def should_train(intent: Intent, parameter: Parameter) -> bool:
    """Whether the intent wants this parameter trained.

    What an adapter adds trains, wherever it sits (whether it should sit there is another check's question); of a
    module that an adapter keeps a copy of, the copy trains and the original does not. What the family keeps fixed
    trains nowhere.
    """
    if parameter.role == "adapter":
        return True
    if parameter.role == "original" or intent.is_fixed(parameter.key):
        return False
    return intent.names_as_trained(parameter.key) or _trains_as_bias(intent, parameter)


def _trains_as_bias(intent: Intent, parameter: Parameter) -> bool:
    if intent.adapter is None or intent.adapter.bias == "none" or not parameter.path.endswith("bias"):
        return False
    return intent.adapter.bias == "all" or ".base_layer." in parameter.path


def gets_gradient(intent: Intent, parameter: Parameter) -> bool:
    """Whether a gradient can arrive at the parameter."""
    return intent.reaches(parameter.key)
