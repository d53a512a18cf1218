"""Which tensors the recorder can look into."""

from __future__ import annotations

import torch
from torch.nn.parameter import is_lazy


def unreadable_in(root: torch.nn.Module) -> str:
    """How many of a model's parameters cannot be read, and why the first; nothing where all can."""
    reasons = {name: why for name, p in root.named_parameters() if (why := unreadable(p))}
    if not reasons:
        return ""
    return f"{len(reasons)} parameters are {next(iter(reasons.values()))}, such as {next(iter(reasons))}"


def unreadable(tensor: torch.Tensor) -> str:
    """Why a tensor's values cannot be read as they lie in memory; nothing where they can."""
    if is_lazy(tensor):
        return "not initialised yet"
    if tensor.is_meta:
        return "on the meta device"
    if hasattr(tensor, "ds_tensor"):  # ZeRO's, which has its own way of being read
        return ""
    if hasattr(tensor, "to_local") or type(tensor).__name__ == "DTensor":
        return "a distributed tensor"
    if tensor.layout is not torch.strided:
        return f"of layout {tensor.layout}"
    return "" if type(tensor.data) in (torch.Tensor, torch.nn.Parameter) else f"a {type(tensor.data).__name__}"
