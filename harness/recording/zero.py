"""Gradients with which a ZeRO optimizer steps. It holds none of the model's parameters: what trains is copied into flat
tensors of which each process has a part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from harness.recording.shards import Shard, is_partitioned

if TYPE_CHECKING:
    from harness.recording.found import FoundModel


@dataclass(frozen=True)
class Part:
    """A stretch of a parameter: which one, where in it the stretch begins, and what of a flat tensor it is."""

    index: int
    start: int
    at: int
    size: int


class FlatGradients:
    """Which stretches of a ZeRO optimizer's flat tensors belong to which parameters of a model."""

    def __init__(self, zero: Any, model: FoundModel) -> None:
        self._parts: dict[int, list[Part]] = {}
        self.whole = not hasattr(zero, "partition_count") and not is_partitioned(model.parameters)
        for flat, part in (*_linked(model), *_of_stage_3(zero, model), *_of_copies(zero, model)):
            self._parts.setdefault(flat, []).append(part)

    def of(self, flat: torch.Tensor) -> list[Part]:
        """The parts in a flat tensor; none for one of somebody else's."""
        return self._parts.get(flat.data_ptr(), [])

    @property
    def elements(self) -> int:
        """How many elements of the model the optimizer of this process steps."""
        return sum(part.size for parts in self._parts.values() for part in parts)


def _linked(model: FoundModel) -> Iterator[tuple[int, Part]]:
    """Of the stages that keep a parameter whole: DeepSpeed links each to its stretch of fp32."""
    for index, parameter in enumerate(model.parameters):
        link = getattr(parameter, "_hp_mapping", None)
        if link is not None:
            inside, of = link.hp_fragment_address, link.lp_fragment_address
            flat = link.hp_fragment.data_ptr() - inside.start * link.hp_fragment.element_size()
            yield flat, Part(index, of.start, inside.start, inside.numel)


def _of_stage_3(zero: Any, model: FoundModel) -> Iterator[tuple[int, Part]]:
    """Of partitioned parameters: their parts lie one after the other."""
    groups = getattr(zero, "fp16_groups", None) or []
    for group, flat in zip(groups, getattr(zero, "fp32_partitioned_groups_flat", None) or []):
        at = 0
        for parameter in group:
            shard = Shard(parameter)
            size = shard().numel()
            for index in model.index.get(id(parameter), ()) if size else ():
                yield flat.data_ptr(), Part(index, shard.start, at, size)
            at += parameter.ds_tensor.ds_numel


def _of_copies(zero: Any, model: FoundModel) -> Iterator[tuple[int, Part]]:
    """Of 16 bits without ZeRO: each parameter has a copy in fp32, in every process."""
    for group, copies in zip(getattr(zero, "fp16_groups", None) or [], getattr(zero, "fp32_groups", None) or []):
        for parameter, copy in zip(group, copies):
            for index in model.index.get(id(parameter), ()):
                yield copy.data_ptr(), Part(index, 0, 0, copy.numel())


class GradientsOfStep:
    """The gradients with which a ZeRO optimizer steps, gathered from one flat tensor after the other."""

    def __init__(self, parameters: int) -> None:
        self._squares: list[float] = [0.0] * parameters
        self._nonzero: list[int] = [0] * parameters
        self._any = False

    def add(self, gradient: torch.Tensor, parts: Sequence[Part], divisor: float = 1.0) -> None:
        """Add the parts of a flat gradient, which is so many times too large."""
        self._any = True
        for part in parts:
            piece = gradient.view(-1)[part.at : part.at + part.size].double()
            self._squares[part.index] += float(piece.square().sum()) / divisor**2
            self._nonzero[part.index] += int(torch.count_nonzero(piece))

    def __bool__(self) -> bool:
        return self._any

    @property
    def norms(self) -> list[float]:
        return [square**0.5 for square in self._squares]

    @property
    def nonzeros(self) -> list[int]:
        return self._nonzero
