"""Per-tensor numbers of many tensors at once.

A tiny model has a hundred small parameters; waiting for each costs more than a step may.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import torch

_kind = operator.attrgetter("is_cpu", "dtype", "is_sparse", "requires_grad")
_PLAIN = {(True, torch.float32, False, False)}


def norms(tensors: list[torch.Tensor]) -> list[float]:
    """The 2-norm of each tensor, in float32 at least: a norm of float16 overflows where none of its elements does."""
    if not tensors:
        return []
    if (kinds := set(map(_kind, tensors))) != _PLAIN:
        tensors = list(map(_dense, tensors))
        if not all(on_cpu for on_cpu, *_ in kinds):
            return _in_one_go([norm_of(tensor) for tensor in tensors])
        if any(dtype != torch.float32 for _, dtype, *_ in kinds):
            tensors = [tensor.double() for tensor in tensors]
    found: list[float] = torch.stack(torch._foreach_norm(tensors)).tolist()
    return found


def nonzero(tensors: list[torch.Tensor]) -> list[int]:
    """How many elements of each tensor are not zero."""
    if not tensors:
        return []
    counts: list[int] = _in_one_go([torch.count_nonzero(tensor) for tensor in map(_dense, tensors)])
    return counts


def _dense(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor as the numbers in it, without its graph: of a sparse one, those that are there."""
    tensor = tensor.detach()
    return tensor.coalesce().values() if tensor.is_sparse else tensor


def any_nonzero(tensors: Sequence[torch.Tensor]) -> list[bool]:
    """Whether each tensor has an element that is not zero."""
    return _in_one_go([tensor.detach().any() for tensor in tensors]) if tensors else []


def norm_of(tensor: torch.Tensor) -> torch.Tensor:
    """The 2-norm, added up in float32 at least, without a copy of the tensor."""
    wide = torch.float32 if tensor.element_size() < 4 else None
    norm: torch.Tensor = torch.linalg.vector_norm(tensor.detach(), dtype=wide)
    return norm


def _in_one_go(numbers: Sequence[torch.Tensor]) -> list[Any]:
    """Numbers that lie on one device or on several, which are waited for once."""
    device = numbers[0].device
    found: list[Any] = torch.stack([number.to(device) for number in numbers]).tolist()
    return found
