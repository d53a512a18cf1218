"""How often a model's values are looked at: each step of a small one, of a large one as seldom as costs little."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator

ALWAYS_LOOKED = 20_000_000  # elements, up to which values are looked at after each step, if nobody says how often
SHARE = 0.01  # of a step's time, that looking at larger models may take
SELDOMEST = 1000


class Pace:
    """`every` is 0 until it is known: at a large model it is chosen by what a step and a look have taken."""

    def __init__(self, asked: int) -> None:
        self.every = asked
        self._asked, self._elements = asked, 0
        self._stepped, self.spent = 0.0, 0.0  # in the step that is being made, by looking

    def trains(self, elements: int) -> None:
        """A model with so many elements, beside those told before."""
        self._elements += elements
        if not self._asked and (self.every <= 1 or self._elements <= ALWAYS_LOOKED):
            self.every = 1 if self._elements <= ALWAYS_LOOKED else 0

    def due(self, steps: int) -> bool:
        """Whether the step after so many is looked at."""
        return steps % max(self.every, 1) == 0

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
        self.every = max(1, min(SELDOMEST, math.ceil(spent / (SHARE * bare))))
        return True
