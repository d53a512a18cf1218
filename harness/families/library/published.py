"""Well-known checkpoints: the values of their config.json that make their models, and how many parameters they were
published with."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from harness.frozen import Frozen
from harness.recipe.yaml_file import read_yaml

TABLE = Path(__file__).with_name("published.yaml")
# A million or a billion parameters; or sizes of files that have two bytes for each.
UNITS = {"M": Decimal(10**6), "B": Decimal(10**9), "MB": Decimal(10**6) / 2, "GB": Decimal(10**9) / 2}
Rounded = Annotated[str, Field(pattern=rf"^\d+(\.\d+)? ({'|'.join(UNITS)})$")]


class Published(Frozen):
    """One checkpoint. `beside` is what the published count has more than the model's parameters, such as buffers."""

    config: dict[str, Any] = Field(description="what its config.json says, but for what the class's defaults say too")
    config_from: str = Field(description="where the values are from")
    parameters: int | None = Field(default=None, description="as published; none where no exact count was found")
    rounded: tuple[Rounded, ...] = Field(
        default=(), description="what was published instead: numbers that add up to it"
    )
    counted_in: str = Field(default="", description="where the count is from")
    beside: int = 0
    note: str = ""

    def bounds(self) -> tuple[int, int] | None:
        """The lowest and the highest count that round to what was published; none where nothing was."""
        if self.parameters is not None:
            return self.parameters, self.parameters
        numbers = [(Decimal(number), UNITS[unit]) for number, unit in map(str.split, self.rounded)]
        counted = sum(number * unit for number, unit in numbers)
        off = sum(Decimal((0, (5,), int(number.as_tuple().exponent) - 1)) * unit for number, unit in numbers)
        return (int(counted - off), int(counted + off)) if numbers else None


@cache
def checkpoints() -> dict[str, Published]:
    """The checkpoints, by the name that they are published under."""
    return {name: Published.model_validate(entry) for name, entry in read_yaml(TABLE, "table").items()}
