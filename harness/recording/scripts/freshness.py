"""Whether the gradients that an optimizer applies are those of its own step: zeroed since the last, and not since."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from harness.recording.local_parts import local

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
        self._labels: list[torch.Tensor | None] = []  # of each backward pass, kept: else another may lie in their place
        self._lost: list[torch.Tensor | None] = []
        self._left: tuple[torch.Tensor, int, int] | None = None  # a parameter, its version, where its gradient lies
        self._before: list[tuple[int, int]] | None = None

    def backward_begins(self, alone: bool) -> None:
        """Unless the optimizer is `alone`, the pass may be another's."""
        if not self.clean:
            self.clean = self._nothing_left()
        self._before = None if alone else self._marks()

    def backward_ended(self, labels: torch.Tensor | None) -> None:
        """A pass from a loss on these labels, where it is known on which, is over."""
        if self._before is not None and self._before == self._marks():
            return
        self.backwards += 1
        self._labels.append(labels)
        self._left = next(((p, p._version, g.data_ptr()) for p, g in _gradients(self._optimizer)), None)

    def zeroed(self, unused: bool) -> None:
        """Some gradients were put to zero. `unused` says that no optimizer stepped since the last backward."""
        if self._nothing_left():
            self.clean = True
            if self.backwards and unused:
                self._lost += [] if self._written() else self._labels
                self.backwards, self._labels = 0, []

    def stepped(self) -> dict[str, Any]:
        """What is to be said of a step that was made, and the beginning of the next."""
        facts = {"fresh": self.clean or not self.steps or not self.backwards, "backwards": self.backwards}
        # A pass on labels that are learned from besides was for something else: an attack on the model, a look at it.
        used = {_name(labels) for labels in self._labels if labels is not None}
        lost = sum(labels is None or _name(labels) not in used for labels in self._lost)
        if lost and not self._by_hand():
            facts["lost"] = lost
        self.steps, self.backwards, self.clean, self._left = self.steps + 1, 0, False, None
        self._labels, self._lost = [], []
        return facts

    def _written(self) -> bool:
        """Whether the last backward's gradients were put to use by hand: the weights were moved with them."""
        return self._left is not None and self._left[0]._version != self._left[1]

    def _by_hand(self) -> bool:
        """Whether the gradients of a step are none that a backward left, but made of several passes' by the script."""
        if not self.backwards:
            return not self._nothing_left()
        now = None if self._left is None else self._left[0].grad
        return self._left is not None and now is not None and _values(now).data_ptr() != self._left[2]

    def _marks(self) -> list[tuple[int, int]]:
        """What is another after a backward pass that reaches any parameter: where gradients lie, and their versions."""
        return [(gradient.data_ptr(), gradient._version) for _, gradient in _gradients(self._optimizer)]

    def _nothing_left(self) -> bool:
        return not any(bool(gradient.any()) for _, gradient in _gradients(self._optimizer))


def _gradients(optimizer: torch.optim.Optimizer) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Each parameter that has a gradient, and the values of that."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                yield parameter, _values(parameter.grad)


def _name(labels: torch.Tensor) -> tuple[int, int]:
    return labels.data_ptr(), labels.numel()


def _values(gradient: torch.Tensor) -> torch.Tensor:
    gradient = local(gradient)
    return gradient._values() if gradient.is_sparse else gradient
