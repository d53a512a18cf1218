"""The settings that a recipe has, those that one says, and those that none is ever drawn with, with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from harness.recipe import Recipe
from harness.strategies.shown import as_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

OF_A_PART = "a path, or another recipe's name in a suite: what one recipe leaves is drawn as start_from.recipe"
NOT_DRAWN = {
    "size": "full trains nowhere: harness plan is for it",
    "data.source": "the path of somebody's own data",
    "save.files": "names of files that somebody's program looks for",
    "deepspeed.config": "the path of a DeepSpeed JSON, which says the same as the other settings, or takes their place",
    "launch.port": "of a machine: a free one is found",
    "launch.hostfile": "names the machines of a cluster",
    "launch.wait_seconds": "how long a hang lasts; a recipe that works has none",
    "start_from.base": OF_A_PART,
    "start_from.projector": OF_A_PART,
    "start_from.trainables": OF_A_PART,
    "start_from.adapter": OF_A_PART,
    "device": "where there is no GPU nothing could be made on one",
    "budget.throughput": "what a machine can do: steps are timed again and again, with nothing beside them",
    "budget.memory.of_estimate": "by how much what is needed may be exceeded: the default is close, and held to",
    "limits.seconds": "what a machine can do, and no promise of the run's",
    "limits.memory_gb": "what a machine has, and no promise of the run's",
}
START = "start_from."
SAME = {"lora": "adapter"}  # two names of one part


def all_fields(model: type[BaseModel] = Recipe, within: str = "") -> Iterator[str]:
    """Every setting of recipes, by dotted name; what is in one of several forms has the settings of all of them."""
    for name, field in model.model_fields.items():
        dotted = f"{within}{SAME.get(name, name)}"
        one = within.startswith(START) or dotted in NOT_DRAWN  # an earlier recipe is a setting by itself
        parts = [] if one else _models_in(field.annotation)
        if not parts:
            yield dotted
        for part in parts:
            yield from all_fields(part, f"{dotted}.")


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for one in get_args(annotation) for found in _models_in(one)]


def said_by(recipe: Recipe) -> set[str]:
    """The settings of a recipe that are not the default, by dotted name."""
    known = set(all_fields())
    return {name for name in _dotted(as_settings(recipe), "") if name in known}


def _dotted(value: Any, within: str) -> Iterator[str]:
    """Names of all that is in plain settings, outer names too."""
    entries = value if isinstance(value, list) else [value]
    for entry in entries:
        for name, inner in entry.items() if isinstance(entry, dict) else ():
            dotted = f"{within}{SAME.get(name, name)}"
            yield dotted
            yield from _dotted(inner, f"{dotted}.")
