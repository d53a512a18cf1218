"""Which tensors the recorder can look into."""

from __future__ import annotations

import torch
from torch.nn.parameter import is_lazy

from harness.recording.local_parts import in_rows, local

PART = 50_000_000  # elements of a distributed parameter in a process, which are held a second time


def unreadable_in(root: torch.nn.Module) -> str:
    """How many of a model's parameters cannot be read, and why the first; nothing where all can."""
    reasons = {name: why for name, p in root.named_parameters() if (why := unfollowed(p))}
    if not reasons:
        return ""
    name, why = next(iter(reasons.items()))
    return f"{len(reasons)} parameters are {why}, such as {name}" if len(reasons) > 1 else f"{name} is {why}"


def unfollowed(parameter: torch.Tensor) -> str:
    """Why what becomes of a parameter cannot be told; nothing where it can, if only of the part that lies here."""
    return "" if in_rows(parameter) and local(parameter).numel() <= PART else unreadable(parameter)


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
    if getattr(tensor, "_fsdp_flattened", False):
        return "laid flat over processes by FullyShardedDataParallel"
    distributed = hasattr(tensor, "to_local") or type(tensor).__name__ == "DTensor"
    return "a distributed tensor" if distributed else ""
