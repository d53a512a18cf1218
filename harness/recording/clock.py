"""Which optimizer step and which micro-batch an event belongs to."""

from __future__ import annotations


class StepClock:
    """Counts steps and micro-batches from forwards and optimizer steps alone.

    A step ends when the next forward begins, not when the optimizer has stepped: the scaler's update, zeroing and the
    schedule's step still belong to it.
    """

    def __init__(self, first_step: int = 0) -> None:
        self.step = first_step
        self.micro = 0
        self.steps_done = 0
        self._stepped = False
        self._forwards = 0
        self._new_gradients = False

    def forward(self) -> None:
        """A training forward begins."""
        if self._stepped:
            self.step, self.micro, self._stepped = self.step + 1, 0, False
        elif self._forwards:
            self.micro += 1
        self._forwards += 1

    @property
    def first(self) -> bool:
        """Whether this is the first training forward of the run, or comes before it."""
        return self._forwards <= 1

    @property
    def before_first(self) -> bool:
        """Whether no training forward has begun yet."""
        return not self._forwards

    @property
    def waits_for_forward(self) -> bool:
        """Whether the optimizer has stepped and no forward has begun since, or none has begun at all."""
        return self._stepped or not self._forwards

    def stepped(self) -> None:
        """The optimizer stepped, or was skipped."""
        self._stepped = True
        self.steps_done += 1

    def gradients_are_new(self) -> None:
        self._new_gradients = True

    def take_new_gradients(self) -> bool:
        """Whether gradients have arrived since this was last asked."""
        new, self._new_gradients = self._new_gradients, False
        return new
