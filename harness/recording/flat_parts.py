"""Parameters that torch's FullyShardedDataParallel has laid end to end: of the flat tensor each process has a stretch.

The script's optimizer holds the flat tensors, or what is left here of the original parameters. Either way the names,
shapes and values are told of the original parameters, by what the flat tensor itself says of them; nothing is asked of
another process. Source: torch.distributed.fsdp, the attributes of its FlatParameter (as torch 2.4 and 2.13 have them).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

WRAPPER = "torch.distributed.fsdp.fully_sharded_data_parallel"
FLAT = "_flat_param"  # the name that a flat tensor is registered by
MARK = "_fsdp_flattened"


class FlatPart:
    """What of an original parameter lies in this process: it is asked what a parameter is asked, of the whole, and
    gives its part when called. `start` is the flat index of the part's first element in the whole."""

    def __init__(self, flat: Any, place: int, speaks: bool, whole: bool) -> None:
        held = flat._shard_param_infos[place]
        self.whole = whole  # each process has all of it: they are replicas
        self._flat, self._original = flat, None if flat._params is None else flat._params[place]
        self._inside = held.in_shard and speaks
        self._offset, self._size = held.offset_in_shard or 0, held.numel_in_shard or 0
        self.shape: torch.Size = flat._shapes[place]
        self.start: int = held.intra_param_start_idx or 0
        contiguous = getattr(flat, "_contiguities", None)  # torch before 2.3 lays all down in their own order
        self.in_order = contiguous is None or bool(contiguous[place])

    @property
    def held(self) -> torch.Tensor:
        """What an optimizer has in this parameter's place: itself, or the flat tensor that it is in."""
        found: torch.Tensor = self._flat if self._original is None else self._original
        return found

    @property
    def dtype(self) -> torch.dtype:
        return self._lying().dtype

    @property
    def device(self) -> torch.device:
        return self._lying().device

    @property
    def requires_grad(self) -> bool:
        return self.held.requires_grad

    @property
    def _version(self) -> int:
        return self.held._version

    @property
    def grad(self) -> torch.Tensor | None:
        """The gradient's part: of one that the processes have not brought together yet, the same stretch."""
        gradient = self.held.grad
        if gradient is None or not self._inside:
            return None
        if self._original is not None:
            flat = gradient.detach().reshape(-1)
            return flat if flat.numel() == self._size else flat[self.start : self.start + self._size]
        return self._of(gradient.detach()) if gradient.numel() == self._flat._sharded_size.numel() else None

    def numel(self) -> int:
        return self.shape.numel()

    def element_size(self) -> int:
        return self._lying().element_size()

    def __call__(self) -> torch.Tensor:
        return self._of(self._lying())

    def _of(self, flat: torch.Tensor) -> torch.Tensor:
        return flat[self._offset : self._offset + self._size] if self._inside else flat[:0]

    def _lying(self) -> torch.Tensor:
        """This process's stretch of the flat tensor, wherever a pass has the whole of it just now."""
        flat = self._flat
        kept = flat if flat.numel() == flat._sharded_size.numel() else getattr(flat, "_local_shard", flat)
        found: torch.Tensor = kept.detach()
        return found


def named_parts(root: nn.Module) -> Iterator[tuple[str, Any]]:
    """Each parameter of a model by name, under all names that it has; of what is laid flat, its part."""
    flats, originals = _laid_flat(root)
    for name, parameter in root.named_parameters(remove_duplicate=False):
        if id(parameter) in flats and name.endswith(FLAT):
            for inside, part in flats[id(parameter)]:
                yield name[: -len(FLAT)] + inside, part
        else:
            yield name, originals.get(id(parameter), parameter)


def held_in_place(parameter: Any) -> torch.Tensor:
    """The tensor that an optimizer has in a parameter's place."""
    found: torch.Tensor = parameter.held if isinstance(parameter, FlatPart) else parameter
    return found


def _laid_flat(root: nn.Module) -> tuple[dict[int, list[tuple[str, FlatPart]]], dict[int, FlatPart]]:
    """The parts in each flat tensor by their names, and those of original parameters that the script still has."""
    flats: dict[int, list[tuple[str, FlatPart]]] = {}
    originals: dict[int, FlatPart] = {}
    for module in root.modules():
        handle: Any = getattr(module, "_handle", None) if _is_wrapper(module) else None
        flat: Any = getattr(handle, "flat_param", None)
        if not hasattr(flat, "_shard_param_infos"):
            continue
        speaks, whole = _comes_first(module), not handle.uses_sharded_strategy
        parts = [FlatPart(flat, place, speaks, whole) for place in range(len(flat._fqns))]
        if flat._params is not None:
            originals.update({id(part.held): part for part in parts})
            continue
        named = dict(zip(flat._fqns, parts))
        tied = [(_joined(one[2], one[0]), named[_joined(one[5], one[3])]) for one in flat._shared_param_infos]
        flats[id(flat)] = [*named.items(), *tied]
    return flats, originals


def _is_wrapper(module: nn.Module) -> bool:
    return any(kind.__module__ == WRAPPER for kind in type(module).__mro__)


def _comes_first(module: Any) -> bool:
    """Whether no other process has the same stretch and comes first, as where groups that shard are replicas."""
    replicas = getattr(module, "_inter_node_pg", None)
    return replicas is None or torch.distributed.get_rank(replicas) == 0


def _joined(module: str, name: str) -> str:
    return f"{module}.{name}" if module else name
