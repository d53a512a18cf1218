"""Looking without touching: whatever is done with a model in a block, it is as before when that is over."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import random
import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn


def generator_states() -> list[torch.Tensor]:
    """The states of torch's generators: the CPU's, then those of the GPUs where they are in use."""
    gpu: Any = torch.cuda  # of which not all is typed
    return [torch.get_rng_state(), *(gpu.get_rng_state_all() if gpu.is_initialized() else ())]


class ChanceDigest:
    """A digest of the states of torch's generators. Where no number was drawn it is the one that was told before."""

    def __init__(self) -> None:
        self._states, self._digest = b"", ""

    def __call__(self) -> str:
        states = b"".join([ctypes.string_at(state.data_ptr(), state.numel()) for state in generator_states()])
        if states != self._states:
            self._states, self._digest = states, hashlib.blake2b(states, digest_size=8).hexdigest()
        return self._digest


class Chance:
    """What random numbers would come next: of torch, of Python, and of numpy where the process has imported it."""

    def __init__(self) -> None:
        self._torch, self._python = generator_states(), random.getstate()
        numpy: Any = sys.modules.get("numpy.random")
        self._numpy = numpy.get_state() if numpy is not None else None

    def put_back(self) -> None:
        """The same numbers again from here on."""
        torch.set_rng_state(self._torch[0])
        if self._torch[1:]:
            torch.cuda.set_rng_state_all(self._torch[1:])
        random.setstate(self._python)
        if self._numpy is not None:
            sys.modules["numpy.random"].set_state(self._numpy)


@contextlib.contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Run a block in eval mode without gradients, then put everything but the parameters' values back bit for bit.

    No parameter requires a gradient inside: torch chooses among products of matrices by that even where none is
    computed, and the model that comes back from disk requires none either.
    """
    modes = {module: module.training for module in model.modules()}
    trained = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    buffers = {name: buffer.detach().clone() for name, buffer in model.named_buffers()}
    chance = Chance()
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
        chance.put_back()
