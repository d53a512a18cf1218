"""What cannot be logged, by name; see `rules`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.recipe.rules.registry import rule

if TYPE_CHECKING:
    from harness.recipe.model import Recipe


@rule
def logging_of_one_plain_loop(recipe: Recipe) -> tuple[str, str] | None:
    """A Trainer logs in its own way; of several processes each knows its own loss alone."""
    if recipe.logging and recipe.engine != "torch":
        return f"logging {recipe.logging} and engine {recipe.engine}: it is the plain loop's", "set engine: torch"
    if recipe.logging and recipe.processes > 1:
        what = f"logging {recipe.logging} and processes {recipe.processes}: each would log a loss of its own"
        return what, "set processes: 1"
    return None
