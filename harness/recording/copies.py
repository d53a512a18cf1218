"""A model that is pickled, copied or scripted takes no hook of the recorder's with it."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

_OF_HOOKS = ("_forward_pre_hooks", "_forward_hooks")
_BESIDE = ("_forward_pre_hooks_with_kwargs", "_forward_hooks_with_kwargs", "_forward_hooks_always_called")


def state_without_hooks(module: nn.Module) -> dict[str, Any]:
    """What a module is pickled and copied by: all it has, but for the recorder's hooks."""
    state = dict(module.__dict__)
    for name in _OF_HOOKS:
        hooks = state.get(name)
        ours = [key for key, hook in hooks.items() if _is_ours(hook)] if hooks else []
        for place in (name, *_BESIDE) if ours else ():
            if place in state:
                kept = [(key, value) for key, value in state[place].items() if key not in ours]
                state[place] = OrderedDict(kept)
    return state


def without_hooks(module: nn.Module) -> nn.Module:
    """What torch.jit.script is to compile in a module's place: it compiles hooks too."""
    hooked = [hook for name in _OF_HOOKS for hook in module.__dict__[name].values()]
    return copy.copy(module) if any(map(_is_ours, hooked)) else module


def _is_ours(hook: Any) -> bool:
    function = getattr(hook, "func", hook)
    return str(getattr(function, "__module__", "")).startswith("harness.recording")
