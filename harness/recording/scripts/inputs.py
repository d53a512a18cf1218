"""One number for what a forward was given, so that two processes that see the same data can be told."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch

from harness.recording.digests import Digest
from harness.trace.nested import tensors_in

ELEMENTS = 1 << 16  # of each tensor


def of_several() -> bool:
    """Whether this is one of several processes, by its launcher or its group: nobody asks about the data of one."""
    group: Any = torch.distributed
    return "RANK" in os.environ or bool(group.is_available() and group.is_initialized())


def input_digest(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str | None:
    """A digest of the beginnings of all tensors among the arguments, None where there are none."""
    found = [tensor for tensor in tensors_in([list(args), dict(kwargs)]) if not tensor.is_meta and not tensor.is_sparse]
    flat = [tensor.detach().reshape(-1)[:ELEMENTS] for tensor in found if tensor.numel() and not tensor.is_complex()]
    return Digest()(flat) if flat else None
