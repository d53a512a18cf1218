"""At which steps a model's values are looked at.

Of a small model at each of the first, where most mistakes show, and then at one in five; of a large one as seldom as
costs little. Each optimizer's steps are counted for themselves, so that of those which take turns all are met. For a
large model it is one in a power of three, so that processes whose steps take unequally long look at some of the same.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

SMALL = 20_000_000  # elements, up to which how often to look does not depend on how long a step takes
AT_FIRST, THEN = 16, 5  # steps of a small model that are each looked at; and of those after them one in so many
SHARE = 0.01  # of a step's time, that looking at larger models may take
SELDOMEST = 729


class Pace:
    """`every` is 0 until it is known: at a large model it is chosen by what a step and a look have taken."""

    def __init__(self, asked: int) -> None:
        self.every = asked
        self._asked, self._elements = asked, 0
        self._small, self._closely = False, 0  # and up to which step each is looked at
        self._stepped, self.spent = 0.0, 0.0  # in the step that is being made, by looking

    def trains(self, elements: int) -> None:
        """A model with so many elements, beside those told before."""
        decided = self._asked or (self._elements and not self._small)
        self._elements += elements
        if not decided:
            self._small = self._elements <= SMALL
            self.every = THEN if self._small else 0

    def begins(self, steps: int) -> None:
        """After so many steps something new is to be seen: a model, or an optimizer."""
        self._closely = steps + AT_FIRST

    def due(self, steps: int, own: int) -> bool:
        """Whether the step after so many, of an optimizer that has made so many of its own, is looked at."""
        return (self._small and steps < self._closely) or own % max(self.every, 1) == 0

    def seldom(self, steps: int) -> int:
        """One in how many steps is looked at by now, after so many."""
        return 1 if self._small and steps <= self._closely else max(self.every, 1)

    @contextlib.contextmanager
    def looking(self) -> Iterator[None]:
        """What takes time in a step only because it is looked at."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.spent += time.perf_counter() - begun

    def chosen(self) -> bool:
        """After a step: whether how often to look was chosen just now. Of the first the beginning is not known."""
        now, before, spent = time.perf_counter(), self._stepped, self.spent
        self._stepped, self.spent = now, 0.0
        if self.every or not before:
            return False
        bare = max(now - before - spent, 1e-6)
        self.every = 1
        while self.every < SELDOMEST and spent > SHARE * bare * self.every:
            self.every *= 3
        return True
