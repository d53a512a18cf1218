"""What a report draws of a run: losses, gradient norms, what was asked to train and moved, and how fast it went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Values = tuple[float | None, ...]
"""A value per optimizer step; None where there was none, and nan or inf where a run had that."""


@dataclass(frozen=True)
class Part:
    """One component: how many tensors were asked to train, how many of those moved, and how many others did.

    `asked` says it in words; `wrong` says what is not as asked, or nothing.
    """

    component: str
    parameters: int
    asked: str
    to_move: int
    moved: int
    to_stay: int
    moved_though_frozen: int
    wrong: str = ""


@dataclass(frozen=True)
class Speed:
    """What the training of a run took: its seconds, optimizer steps and samples, recording included.

    Where a budget was stated, `of_bare` is what part of a bare loop's speed the timed run had, and `least` what part it
    must have.
    """

    seconds: float
    steps: int
    samples: int
    of_bare: float | None = None
    least: float | None = None

    @property
    def steps_per_second(self) -> float:
        return self.steps / self.seconds

    @property
    def samples_per_second(self) -> float:
        return self.samples / self.seconds


@dataclass(frozen=True)
class Evidence:
    """Of one run. `moment` is when the norms were taken; `why` says what keeps a trace from being drawn."""

    steps: tuple[int, ...] = ()
    skipped: tuple[int, ...] = ()
    loss: Values = ()
    norms: Mapping[str, Values] = field(default_factory=dict)
    moment: str = ""
    parts: tuple[Part, ...] = ()
    speed: Speed | None = None
    why: str = ""
