"""What an optimizer holds and how fast it moves it."""

from __future__ import annotations

from typing import Any

import torch

from harness.recording.digests import Digest
from harness.recording.found import FoundModel
from harness.recording.layers import kind_of
from harness.recording.local_parts import local
from harness.trace.writer import StreamWriter

PER_STEP = 256  # elements of each tensor
MANY, OF_MANY = 1 << 30, 1 << 16
_NUMBERS = ("lr", "weight_decay", "betas", "eps", "momentum")


class OptimizerFacts:
    """One optimizer under a stable name. Its groups are described at its first step, and again when what
    they hold or how it decays has changed."""

    def __init__(self, ident: str, optimizer: torch.optim.Optimizer) -> None:
        self.ident = ident
        self._optimizer = optimizer
        self._described: tuple[Any, ...] | None = None
        self._given = [[id(parameter) for parameter in group["params"]] for group in optimizer.param_groups]
        self._digest = Digest(first=PER_STEP)
        self._last: str | None = None

    def describe_once(self, stream: StreamWriter, models: list[FoundModel]) -> None:
        membership = tuple(
            (group.get("weight_decay"), tuple(map(id, group["params"]))) for group in self._optimizer.param_groups
        )
        if membership == self._described:
            return
        self._described = membership
        held = [[id(parameter) for parameter in group["params"]] for group in self._optimizer.param_groups]
        places: dict[int, list[list[Any]]] = {}
        for model in models:  # of which two may have parts in common
            for key, all_of in model.index.items():
                places.setdefault(key, []).extend([model.ident, i] for i in all_of)
        if not any(key in places for keys in held for key in keys):  # ZeRO has put flat tensors of its own there
            held = [keys for keys in self._given if keys]
        stream.emit(
            "optimizer",
            optimizer=self.ident,
            type=kind_of(self._optimizer),
            groups=[
                {
                    "parameters": [place for key in keys for place in places.get(key, [None])],
                    **{name: group[name] for name in _NUMBERS if name in group},
                }
                for keys, group in zip(held, self._optimizer.param_groups)
            ],
        )

    def holds_only(self, model: FoundModel) -> bool:
        """Whether it holds parameters of this model and of no other."""
        groups = self._optimizer.param_groups
        return all(id(parameter) in model.index for group in groups for parameter in group["params"])

    def forget(self) -> None:
        """What was described is no longer what is there: describe it again."""
        self._described = None

    def rates(self) -> list[float]:
        return [float(group["lr"]) for group in self._optimizer.param_groups]

    def state_digest(self) -> str:
        """One number over the beginning of each of the optimizer's tensors, in the order in which they were made.

        Over all of it, it would cost more than anything else at a step; and what a step does to a state, it does to
        every element.
        """
        self._last = self._digest(self._state())
        return self._last

    def state_before(self) -> str:
        """The digest as the last step left it, or as it is before there was any."""
        return self.state_digest() if self._last is None else self._last

    def whole_state_digest(self) -> str:
        """One number over all elements of the optimizer's tensors; of a billion and more, for which there is
        no room a second time, over the beginning of each."""
        state = self._state()
        many = sum(tensor.numel() for tensor in state) > MANY
        return Digest(first=OF_MANY if many else None)(state)

    def state_dtypes(self) -> dict[str, dict[str, int]]:
        """How many tensors of floating point of each name the optimizer keeps in each dtype."""
        found: dict[str, dict[str, int]] = {}
        for state in self._optimizer.state.values():
            for name, value in state.items():
                if isinstance(value, torch.Tensor) and value.is_floating_point():
                    counts, dtype = found.setdefault(str(name), {}), str(value.dtype).split(".")[-1]
                    counts[dtype] = counts.get(dtype, 0) + 1
        return found

    def _state(self) -> list[torch.Tensor]:
        states = self._optimizer.state.values()
        return [local(value) for state in states for value in state.values() if isinstance(value, torch.Tensor)]
