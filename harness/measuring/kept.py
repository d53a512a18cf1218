"""What a forward keeps for the backward pass, byte by byte and by component: equal on every device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from harness.measuring.bare import Bare
from harness.trace.nested import tensors_in

ELSEWHERE = "elsewhere"


def kept_for_backward(bare: Bare, batch: dict[str, Any], component_of: Callable[[str], str]) -> dict[str, int]:
    """Bytes by component, each storage once, parameters and buffers left out: those are there anyway.

    What a checkpointed layer keeps is its input, which torch holds in another way: it is not in here.
    """
    model = bare.model
    own = {one.untyped_storage().data_ptr() for one in (*model.parameters(), *model.buffers())}
    own |= {one.untyped_storage().data_ptr() for one in tensors_in(batch)}
    seen: dict[int, torch.Tensor] = {}
    kept: dict[str, int] = {}
    within = [ELSEWHERE]

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own and storage.data_ptr() not in seen:
            seen[storage.data_ptr()] = tensor  # held, so that no other gets its place
            kept[within[-1]] = kept.get(within[-1], 0) + storage.nbytes()
        return tensor

    def leave(*_: object) -> None:
        within.pop()

    hooks = []
    for path, module in model.named_modules():
        name = _name(path, module, component_of)
        hooks.append(module.register_forward_pre_hook(lambda *_, name=name: within.append(name or within[-1])))
        hooks.append(module.register_forward_hook(leave))
    try:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = bare.loss(batch)
    finally:
        for hook in hooks:
            hook.remove()
    del loss
    return kept


def _name(path: str, module: Any, component_of: Callable[[str], str]) -> str:
    """The component that all parameters of a module belong to; nothing where there are several or none."""
    names = {component_of(f"{path}.{name}") for name, _ in module.named_parameters()}
    return names.pop() if len(names) == 1 else ""
