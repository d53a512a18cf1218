"""Looking without touching: whatever a probe does, the model is as before when it is done."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn


def generator_states() -> list[torch.Tensor]:
    """The states of torch's generators: the CPU's, then those of the GPUs where they are in use."""
    gpu: Any = torch.cuda  # of which not all is typed
    return [torch.get_rng_state(), *(gpu.get_rng_state_all() if gpu.is_initialized() else ())]


@contextlib.contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Run a block in eval mode without gradients, then put everything but the parameters' values back bit for bit.

    No parameter requires a gradient inside: torch chooses among products of matrices by that even where none is
    computed, and the model that comes back from disk requires none either.
    """
    modes = {module: module.training for module in model.modules()}
    trained = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    buffers = {name: buffer.detach().clone() for name, buffer in model.named_buffers()}
    generators, python = generator_states(), random.getstate()
    model.eval().requires_grad_(False)
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes.items():
            module.training = training
        for parameter, requires_grad in trained:
            parameter.requires_grad_(requires_grad)
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                if name in buffers:
                    buffer.copy_(buffers[name])
        torch.set_rng_state(generators[0])
        if generators[1:]:
            torch.cuda.set_rng_state_all(generators[1:])
        random.setstate(python)


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
