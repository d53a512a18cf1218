"""A model that DeepSpeed has trained, made one like any other: whole tensors, and no hooks of DeepSpeed's."""

from __future__ import annotations

import functools
from typing import Any

from deepspeed import zero
from torch import nn

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def made_plain(model: nn.Module) -> None:
    """Put a new parameter with the same values in the place of each, and take DeepSpeed's hooks off.

    Every process has to call it: what is partitioned is gathered.
    """
    new = {id(old): _whole(old) for old in model.parameters()}
    for module in model.modules():
        parameters = {name: None if old is None else new[id(old)] for name, old in module._parameters.items()}
        module._parameters = parameters  # in place of a dictionary that gathers what is looked at
        for kind in _HOOKS:
            hooks: dict[int, Any] = getattr(module, kind)
            for number in [number for number, hook in hooks.items() if _is_deepspeeds(hook)]:
                del hooks[number]


def _whole(old: Any) -> nn.Parameter:
    """A parameter of its own with the values of one that may be partitioned."""
    if not hasattr(old, "ds_tensor"):
        return nn.Parameter(old.data.detach().clone(), requires_grad=old.requires_grad)
    with zero.GatheredParameters([old]):
        return nn.Parameter(old.data.detach().clone(), requires_grad=old.requires_grad)


def _is_deepspeeds(hook: Any) -> bool:
    """Whether a hook's code is DeepSpeed's; those of the libraries, which put theirs on at the first forward, stay."""
    while isinstance(hook, functools.partial):
        hook = hook.func
    return str(getattr(hook, "__module__", "")).partition(".")[0] == "deepspeed"
