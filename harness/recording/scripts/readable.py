"""Which tensors the recorder can look into."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.parameter import is_lazy

from harness.recording.flat_parts import MARK, FlatPart, named_parts
from harness.recording.local_parts import in_rows


def unreadable_in(root: torch.nn.Module) -> str:
    """How many of a model's parameters cannot be read, and why the first; nothing where all can."""
    reasons: dict[int, tuple[str, str]] = {}
    for name, parameter in named_parts(root):
        if why := unfollowed(parameter):
            reasons.setdefault(id(parameter), (name, why))
    if not reasons:
        return ""
    name, why = next(iter(reasons.values()))
    return f"{len(reasons)} parameters are {why}, such as {name}" if len(reasons) > 1 else f"{name} is {why}"


def unfollowed(parameter: Any) -> str:
    """Why what becomes of a parameter cannot be told; nothing where it can, if only of the part that lies here."""
    if isinstance(parameter, FlatPart):
        return "" if parameter.in_order else "laid flat in another order than its own"
    return "" if in_rows(parameter) and not parameter.is_meta else unreadable(parameter)


def unreadable(tensor: torch.Tensor) -> str:
    """Why a tensor's values cannot be read as they lie in memory; nothing where they can."""
    if is_lazy(tensor):
        return "not initialised yet"
    if tensor.is_meta:
        return "on the meta device"
    if hasattr(tensor, "ds_tensor"):  # ZeRO's, which has its own way of being read
        return ""
    if apart := _apart(tensor):
        return apart
    if tensor.layout is not torch.strided:
        return f"of layout {tensor.layout}"
    return "" if type(tensor.data) in (torch.Tensor, torch.nn.Parameter) else f"a {type(tensor.data).__name__}"


def _apart(tensor: torch.Tensor) -> str:
    """In which way a tensor lies in several processes, if it does; torch's older sharding marks its parameters."""
    if getattr(tensor, MARK, False):
        return "laid flat over processes by FullyShardedDataParallel"
    distributed = hasattr(tensor, "to_local") or type(tensor).__name__ == "DTensor"
    return "a distributed tensor" if distributed else ""
