"""How fast a run must be and how much memory it may take, as parts of what the machine can do and the recipe needs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt

from harness.frozen import Frozen

Part = Annotated[float, Field(gt=0, le=1)]


class Measured(Frozen):
    """What a recipe came to on one kind of device: model FLOPs per second over those of a matrix product."""

    device: Annotated[str, Field(min_length=1)]
    of_matmul: PositiveFloat
    torch: str = ""


class Throughput(Frozen):
    """How fast the steps of a run must be.

    `of_bare` holds on any device: the bare loop is timed beside the run. What was measured holds on its own kind only.
    """

    of_bare: Part = Field(default=0.5, description="the least part of the speed that a bare loop over the batches has")
    pinned: bool = Field(default=False, description="also held against what budgets.yaml has of this kind of device")
    slower: PositiveFloat = Field(
        default=0.3, description="how much longer than measured before a step may take: 0.3 is a third less per second"
    )
    measured: tuple[Measured, ...] = Field(default=(), description="what pinned is held against; from budgets.yaml")
    warm_up: PositiveInt = Field(default=3, description="steps before the first that is timed")
    window: Annotated[int, Field(ge=10)] = Field(default=10, description="steps that are timed together")
    windows: Annotated[int, Field(ge=9)] = Field(default=12, description="how often they are, for a spread")

    def on(self, device: str) -> Measured | None:
        """What was measured on this kind of device."""
        return next((one for one in self.measured if one.device == device), None)


MEMORY_STEPS = 5  # the first has no optimizer state yet, and growth shows from one of the others to the next


class Memory(Frozen):
    """How much memory a run may take: so many times what the recipe needs by arithmetic."""

    of_estimate: Annotated[float, Field(ge=1)] = Field(
        default=1.1,
        description="the peak of each phase over what it needs: loading, building and saving, each part of a step",
    )


def _as_settings(value: Any) -> Any:
    """`true` is everything at its default."""
    return {} if value is True else value


class Budget(Frozen):
    """What a run may cost. Each part that is stated makes a timed run beside the recipe's own."""

    throughput: Annotated[Throughput | None, BeforeValidator(_as_settings)] = None
    memory: Annotated[Memory | None, BeforeValidator(_as_settings)] = None

    @property
    def warm_up(self) -> int:
        """Steps before the first that is timed: memory is watched in them, which costs time."""
        return (MEMORY_STEPS if self.memory else 0) + (self.throughput.warm_up if self.throughput else 0)

    @property
    def steps(self) -> int:
        """Steps of the run beside the recipe's own: the last window ends where another step begins."""
        timed = self.throughput.window * self.throughput.windows + 1 if self.throughput else 0
        return self.warm_up + timed
