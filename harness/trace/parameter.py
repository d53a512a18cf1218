"""One parameter of a trace, from its first value to its last. The standard library alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Parameter:
    """One parameter of a model: what it is called, what it is, and what became of it.

    `changed` holds the number of elements that changed at each optimizer step.
    """

    index: int
    path: str
    key: str
    component: str
    shape: tuple[int, ...]
    dtype: str
    role: str
    requires_grad: bool
    first: str
    last: str | None
    changed: tuple[int, ...]
    changed_since_last_step: int = 0

    @property
    def size(self) -> int:
        count = 1
        for length in self.shape:
            count *= length
        return count

    @property
    def moved(self) -> bool:
        """Whether any bit differs between the first value and the last one known."""
        return (self.last is not None and self.last != self.first) or any(self.changed)

    @property
    def elements_moved(self) -> int:
        """The most elements that changed at any one step."""
        return max((*self.changed, self.changed_since_last_step), default=0)
