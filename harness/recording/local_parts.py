"""Parameters that torch itself has taken apart: by rows, as fully_shard does, or laid flat by FullyShardedDataParallel.

What lies here is read as it is: nothing is asked of another process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.recording.flat_parts import FlatPart
from harness.recording.layers import class_of

if TYPE_CHECKING:
    import torch
    from torch import nn


class LocalPart:
    """The part of a distributed parameter that this process speaks for, without a graph."""

    def __init__(self, parameter: Any) -> None:
        self._parameter = parameter
        self.start, speaks, self.whole = _place(parameter)
        self._speaks = speaks or self.whole

    @property
    def grad(self) -> torch.Tensor | None:
        """The gradient's part; None where the whole has none."""
        gradient = self._parameter.grad
        return None if gradient is None else self._of(gradient)

    def __call__(self) -> torch.Tensor:
        return self._of(self._parameter)

    def _of(self, tensor: Any) -> torch.Tensor:
        flat = local(tensor).reshape(-1)
        return flat if self._speaks else flat[:0]


def local(tensor: Any) -> torch.Tensor:
    """What of a tensor lies here: all of one that is not distributed."""
    if isinstance(tensor, FlatPart):
        return tensor()
    found: torch.Tensor = tensor.detach()
    return found._local_tensor if is_distributed(found) else found  # type: ignore[attr-defined]


def is_apart(parameter: Any) -> bool:
    """Whether torch has taken a parameter apart, so that its values are those of its part here."""
    return isinstance(parameter, FlatPart) or is_distributed(parameter)


def is_distributed(tensor: Any) -> bool:
    """Whether it is a tensor of torch's that lies in several processes, told without an import."""
    return hasattr(tensor, "device_mesh") and hasattr(tensor, "_local_tensor")


def in_rows(tensor: Any) -> bool:
    """Whether it is distributed such that each process has rows that follow one another, or all of them."""
    return is_distributed(tensor) and _place(tensor) is not None


def splits_layers(root: nn.Module) -> bool:
    """Whether processes compute parts of the same layers: then what is split is no part that fully_shard left here, or
    is split twice."""
    distributed: list[Any] = [parameter for parameter in root.parameters() if is_distributed(parameter)]
    times = [sum("Shard" in type(one).__name__ for one in parameter.placements) for parameter in distributed]
    by_fully_shard = 1 if any(class_of(module) is not type(module) for module in root.modules()) else 0
    return max(times, default=0) > by_fully_shard


def _place(tensor: Any) -> Any:
    """At which flat index what lies here begins, whether no other process has it too and comes first, and whether each
    has the whole. None where it lies in another way."""
    mesh, start, speaks, split = tensor.device_mesh, 0, True, False
    coordinate = mesh.get_coordinate()
    if coordinate is None:
        return None
    for dimension, placement in enumerate(tensor.placements):
        if placement.is_replicate():
            speaks = speaks and coordinate[dimension] == 0
        elif type(placement).__name__ == "Shard" and placement.dim == 0 and not split and tensor.dim():
            rows, parts, split = int(tensor.shape[0]), int(mesh.size(dimension)), True
            start = min(coordinate[dimension] * -(-rows // parts), rows) * (tensor.numel() // max(rows, 1))
        else:
            return None
    return start, speaks, not split
