"""The points where a run may be altered.

Engines, families and saving call them; an injected fault is a function at a seam. The recorder uses none of them,
so a fault can only change what happens, never what is written down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

Value = TypeVar("Value")


class Seam(str, Enum):
    """A named point of a run. A function there gets the value (or, around an operation, the call) and the moment."""

    BASE_WRITTEN = "base written"  # the directory that training will start from
    PART = "part"  # the tensors of one file that are about to be laid over the loaded model
    TOWER_WRITTEN = "tower written"  # the directory that a vision tower is made anew from
    MERGED = "merged"  # the model that a stage has left, about to be merged and written out
    LOADED = "loaded"  # the model as the library has loaded it from the base directory
    AFTER_BUILD = "after build"  # the model with all that is laid over it
    ADAPTER_OPTIONS = "adapter options"  # the options on their way to peft
    AFTER_TUNING = "after tuning"  # the model with its adapters and frozen parts
    RANK = "rank"  # which of how many processes this one takes itself for
    WRAPPED = "wrapped"  # what is called in place of the model where there are several processes
    TRAINER = "trainer"  # a library's trainer, made and about to train, where an engine has one
    ENGINE_OPTIONS = "engine options"  # the configuration on its way to DeepSpeed
    SCALER_OPTIONS = "scaler options"  # the options on their way to the gradient scaler, `enabled` among them
    OPTIMIZER_GROUPS = "optimizer groups"  # the parameter groups the optimizer will get
    STEPS = "steps"  # the micro-batches of every step
    RESUMED = "resumed"  # what training goes on from, by its parts, as it was read from a checkpoint
    BATCH = "batch"  # one micro-batch
    LOSS = "loss"  # the loss about to be scaled and sent backward
    LOGGED = "logged"  # step, loss and rate on their way to the log
    BACKWARD = "backward"  # around, as are the next six
    UNSCALE = "unscale"
    CLIP = "clip"
    OPTIMIZER_STEP = "optimizer step"
    SCALER_UPDATE = "scaler update"
    ZERO_GRAD = "zero_grad"
    SCHEDULER_STEP = "scheduler step"
    SAVE_OPTIONS = "save options"  # the options on their way to save_pretrained
    AFTER_SAVE = "after save"  # the saved directory


@dataclass
class Moment:
    """Where a run is when it reaches a seam. `step` and `micro` count from 0; `micro_batches` is how many the
    step has. `model` is None before it is built. `first` is the step that this process begins with.

    `base` is the directory that training started from.
    """

    step: int = 0
    first: int = 0
    micro: int = 0
    micro_batches: int = 1
    model: Any = None
    optimizer: Any = None
    schedule: Any = None
    precision: str = "fp32"
    base: Path | None = None

    @property
    def at_second(self) -> bool:
        """Whether this is the second step, or the first of a process that goes on from a later one: any run of two
        steps has one, however it was interrupted."""
        return self.step == max(1, self.first)

    @property
    def ends_several(self) -> bool:
        """Whether this is the last of several micro-batches of a step."""
        return 0 < self.micro == self.micro_batches - 1


Alteration = Callable[[Any, Moment], Any]


@dataclass
class Seams:
    """The alterations of one run; without any, every seam hands back what it was given."""

    alterations: dict[Seam, list[Alteration]] = field(default_factory=dict)

    @classmethod
    def of(cls, pairs: Iterable[tuple[Seam, Alteration]]) -> Seams:
        seams = cls()
        for seam, alteration in pairs:
            seams.alterations.setdefault(seam, []).append(alteration)
        return seams

    def alter(self, seam: Seam, value: Value, moment: Moment) -> Value:
        """The value after each alteration at the seam; one that returns None has altered it in place."""
        for alteration in self.alterations.get(seam, ()):
            changed = alteration(value, moment)
            value = value if changed is None else changed
        return value

    def around(self, seam: Seam, operation: Callable[[], Any], moment: Moment) -> Any:
        """Perform an operation, unless an alteration at the seam does something else with it."""
        for alteration in self.alterations.get(seam, ()):
            operation = _bound(alteration, operation, moment)
        return operation()


def _bound(alteration: Alteration, operation: Callable[[], Any], moment: Moment) -> Callable[[], Any]:
    return lambda: alteration(operation, moment)
