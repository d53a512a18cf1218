"""What requires no gradient: whether an optimizer writes into it all the same, and whether it is thawed later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.recording.found import FoundModel

Place = tuple[str, int]  # a model, and the index of one of its parameters


class FrozenWatch:
    """Of all models of a script."""

    def __init__(self) -> None:
        self._began: set[Place] = set()
        self._versions: list[tuple[str, int, int]] = []

    def found(self, model: FoundModel) -> None:
        """A model met its optimizer: what requires no gradient now began frozen."""
        self._began |= {(model.ident, index) for index, p in enumerate(model.parameters) if not p.requires_grad}

    def step_begins(self, models: Sequence[FoundModel]) -> list[Place]:
        """What began frozen and requires a gradient at this step for the first time."""
        self._versions, thawed = [], []
        for model in models:
            for index, p in enumerate(model.parameters):
                if not p.requires_grad:
                    self._versions.append((model.ident, index, p._version))
                elif (model.ident, index) in self._began:
                    thawed.append((model.ident, index))
        self._began.difference_update(thawed)
        return thawed

    def stepped(self, models: Sequence[FoundModel]) -> list[Place]:
        """What was written into since the step began, though it required no gradient then."""
        tensors = {model.ident: model.parameters for model in models}
        return [
            (model, index)
            for model, index, was in self._versions
            if model in tensors and tensors[model][index]._version != was
        ]
