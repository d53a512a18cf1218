"""Looking without touching: what a probe writes into parameters is undone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@contextlib.contextmanager
def parameters_kept(model: nn.Module) -> Iterator[None]:
    """Whatever is written into parameters in a block, or put in their place, is undone after it bit for bit."""
    owned = [(module, dict(module._parameters)) for module in model.modules()]
    values = [(parameter, parameter.data, parameter.detach().clone()) for parameter in model.parameters()]
    try:
        yield
    finally:
        for module, parameters in owned:
            module._parameters.update(parameters)
        for parameter, memory, value in values:
            parameter.data = memory
            memory.copy_(value)
