"""Models that a script is done with: a search over settings, or a task at a time, makes a model for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from harness.recording.found import FoundModel

KEPT = 4  # models at least, that are looked at until the end


class Resting:
    """A model rests while others are trained. Beyond a few, it is looked at no longer once it was not used from the
    making of one optimizer to that of the next; if it is trained again, it is another model."""

    def __init__(self) -> None:
        self._trained: set[str | None] = set()
        self._used: set[str | None] = set()

    def called(self, ident: str | None) -> None:
        """A model's forward ran."""
        self._used.add(ident)

    def stepped(self, models: Sequence[FoundModel], optimizer: torch.optim.Optimizer) -> None:
        """An optimizer has made a step."""
        held = [model.ident for model in models if _holds(model, optimizer)]
        self._used.update(held)
        self._trained.update(held)

    def over(self, models: Sequence[FoundModel], made: torch.optim.Optimizer) -> list[FoundModel]:
        """The models that the script is done with, now that it has made an optimizer."""
        idle = [
            model
            for model in models
            if model.ident in self._trained and model.ident not in self._used and not _holds(model, made)
        ]
        self._used.clear()
        return idle[: max(0, len(models) - KEPT)]


def _holds(model: FoundModel, optimizer: torch.optim.Optimizer) -> bool:
    return any(id(parameter) in model.index for group in optimizer.param_groups for parameter in group["params"])
