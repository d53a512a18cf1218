"""State dicts: inside what a script saves, and of which parameters of a model they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch

from harness.recording.local_parts import is_distributed
from harness.trace.naming import unwrapped

if TYPE_CHECKING:
    from harness.recording.found import FoundModel

DEPTH = 4  # of dicts inside dicts that one is looked for in


def state_dicts(value: Any, depth: int = DEPTH) -> Iterator[Mapping[str, Any]]:
    """Mappings of names to tensors inside what is saved; of a whole model, its parameters by name. It is not asked for
    its state dict: that may be a matter of all processes, and this may be one."""
    if isinstance(value, torch.nn.Module):
        yield dict(value.named_parameters(remove_duplicate=False))
    elif isinstance(value, Mapping) and depth:
        if any(isinstance(item, torch.Tensor) for item in value.values()):
            yield value
        for item in value.values():
            if isinstance(item, (Mapping, torch.nn.Module)):
                yield from state_dicts(item, depth - 1)


def places(model: FoundModel, state: Mapping[str, Any]) -> Iterator[tuple[int, torch.Tensor]]:
    """The parameters of a model that a state dict has under their names, whatever wrappers put before those."""
    by_name: dict[str, torch.Tensor] = {}
    for key, tensor in state.items():
        if isinstance(key, str) and isinstance(tensor, torch.Tensor) and not is_distributed(tensor):
            by_name.setdefault(unwrapped(key), tensor)
    now = {id(parameter): name for name, parameter in model.root.named_parameters()}  # parametrised since, or pruned
    for index, path in enumerate(model.paths):
        names = [unwrapped(path), unwrapped(now.get(id(model.parameters[index]), path))]
        names += [*(unwrapped(tied) for tied in model.ties.get(path, ()))]
        names += [f"{name}.".replace(".default.", ".")[:-1] for name in names]  # peft leaves an adapter's name out
        names += [name[: -len(".weight")] for name in names if name.endswith("_magnitude_vector.weight")]  # and more
        tensor = next((by_name[name] for name in names if name in by_name), None)
        if tensor is not None and tensor.shape == model.parameters[index].shape:
            yield index, tensor
