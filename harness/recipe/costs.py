"""What a command may cost: time of a step on a kind of device, and memory, in the user's own units."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt, model_validator

from harness.frozen import Frozen

UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SIZE = re.compile(rf"([\d.]+) ?({'|'.join(UNITS)})")


def _bytes(value: object) -> object:
    """`40 GiB` as bytes. Raises ValueError for another string."""
    if not isinstance(value, str):
        return value
    if (found := _SIZE.fullmatch(value.strip())) is None:
        raise ValueError("it is no size; write it as 40 GiB, or as bytes")
    return int(float(found[1]) * UNITS[found[2]])


class Costs(Frozen):
    """What a traced command may cost. Times are of the device that they are named with, and of no other."""

    device: str | None = Field(default=None, description="the kind of device, as harness check names it")
    seconds_per_step: PositiveFloat | None = Field(default=None, description="the most that an optimizer step may take")
    samples_per_second: PositiveFloat | None = Field(default=None, description="the least, of all processes together")
    tokens_per_second: PositiveFloat | None = Field(
        default=None, description="the least, of all processes together and without padding"
    )
    memory: Annotated[PositiveInt | None, BeforeValidator(_bytes)] = Field(
        default=None, description="the most that one process may take: on a GPU allocated, else resident"
    )

    @model_validator(mode="after")
    def _of_a_device(self) -> Costs:
        if self.timed and self.device is None:
            raise ValueError(f"{self.timed[0]} holds on one kind of device; name it as device")
        return self

    @property
    def timed(self) -> list[str]:
        """The settings that are about time."""
        names = ("seconds_per_step", "samples_per_second", "tokens_per_second")
        return [name for name in names if getattr(self, name) is not None]
