"""Which parameters should train, worked out from the intent and the recorded module tree alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.intent import AdapterIntent, Intent
    from harness.trace.parameter import Parameter


# AdaLoRA keeps the rank it began with as a parameter. MiCA (an initialisation of LoRA) trains one of the two factors.
FIXED_PARTS = {"adalora": (".ranknum.",), "mica": (".lora_B.", ".lora_embedding_B.")}


def should_train(intent: Intent, parameter: Parameter) -> bool:
    """Whether the intent wants this parameter trained.

    What an adapter adds trains, where one was asked for and wherever it sits (whether it should sit there is another
    check's question), but for what its method keeps fixed; of a module that an adapter keeps a copy of, the copy trains
    and the original does not. What the family keeps fixed trains nowhere.
    """
    if parameter.role == "adapter":
        return intent.adapter is not None and not _fixed_by_method(intent.adapter, parameter)
    if parameter.role == "original" or intent.is_fixed(parameter.key):
        return False
    return intent.names_as_trained(parameter.key) or _trains_as_bias(intent, parameter)


def _fixed_by_method(adapter: AdapterIntent, parameter: Parameter) -> bool:
    kind = "mica" if str(adapter.init).lower() == "mica" else adapter.method
    return any(part in parameter.path for part in FIXED_PARTS.get(kind, ()))


def _trains_as_bias(intent: Intent, parameter: Parameter) -> bool:
    if intent.adapter is None or intent.adapter.bias == "none" or not parameter.path.endswith("bias"):
        return False
    return intent.adapter.bias == "all" or ".base_layer." in parameter.path


def gets_gradient(intent: Intent, parameter: Parameter) -> bool:
    """Whether a gradient can arrive at the parameter."""
    return intent.reaches(parameter.key)
