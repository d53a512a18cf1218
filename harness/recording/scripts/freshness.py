"""Whether the gradients that an optimizer applies are those of its own step: zeroed since the last, and not since."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


class Freshness:
    """Of one optimizer. Of several in a script each is asked for itself: what one loss leaves on another's
    parameters does no harm if it is zeroed before they step."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        self.steps = 0
        self.backwards = 0
        self.clean = True
        self.lost = 0

    def backward_begins(self) -> None:
        if not self.clean:
            self.clean = self._nothing_left()

    def backward_ended(self) -> None:
        self.backwards += 1

    def zeroed(self, unused: bool) -> None:
        """Some gradients were put to zero. `unused` says that no optimizer stepped since the last backward."""
        if self._nothing_left():
            self.clean = True
            if self.backwards and unused:
                self.lost += self.backwards
                self.backwards = 0

    def stepped(self) -> dict[str, Any]:
        """What is to be said of a step that was made, and the beginning of the next."""
        facts = {"fresh": self.clean or not self.steps or not self.backwards, "backwards": self.backwards}
        if self.lost:
            facts["lost"] = self.lost
        self.steps, self.backwards, self.clean, self.lost = self.steps + 1, 0, False, 0
        return facts

    def _nothing_left(self) -> bool:
        return not any(bool(gradient.any()) for gradient in _gradients(self._optimizer))


def _gradients(optimizer: torch.optim.Optimizer) -> Iterable[torch.Tensor]:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                gradient = parameter.grad
                yield gradient._values() if gradient.is_sparse else gradient
