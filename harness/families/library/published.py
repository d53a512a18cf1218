"""Well-known checkpoints: the values of their config.json that make their models, and how many parameters they were
published with."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field

from harness.frozen import Frozen
from harness.recipe.yaml_file import read_yaml

TABLE = Path(__file__).with_name("published.yaml")


class Published(Frozen):
    """One checkpoint. `beside` is what the published count has more than parameters, such as buffers."""

    config: dict[str, Any] = Field(description="what its config.json says, but for what the class's defaults say too")
    config_from: str = Field(description="where the values are from")
    parameters: int | None = Field(default=None, description="as published; none where no count was found")
    counted_in: str = Field(default="", description="where the count is from")
    beside: int = 0
    note: str = ""


@cache
def checkpoints() -> dict[str, Published]:
    """The checkpoints, by the name that they are published under."""
    return {name: Published.model_validate(entry) for name, entry in read_yaml(TABLE, "table").items()}
