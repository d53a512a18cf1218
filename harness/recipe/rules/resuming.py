"""What cannot be interrupted and gone on with, by name; see `rules`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.recipe.rules.registry import rule

if TYPE_CHECKING:
    from harness.recipe.model import Recipe


@rule
def interrupted_within_the_run(recipe: Recipe) -> tuple[str, str] | None:
    after = recipe.interrupted_after
    if after is not None and after >= recipe.steps:
        return (
            f"interrupted_after {after} and steps {recipe.steps}: nothing would be left to go on with",
            "use more steps, or interrupt earlier",
        )
    return None


@rule
def interrupted_where_a_checkpoint_holds_all(recipe: Recipe) -> tuple[str, str] | None:
    """The checkpoint is the plain loop's own, of one process; what AdaLoRA has measured of its ranks is in none."""
    if recipe.interrupted_after is None:
        return None
    if recipe.engine != "torch":
        return f"interrupted_after and engine {recipe.engine}: the checkpoint is the plain loop's", "set engine: torch"
    if recipe.processes > 1:
        return f"interrupted_after and processes {recipe.processes}: the checkpoint is of one", "set processes: 1"
    if recipe.peft and recipe.peft.method == "adalora":
        return (
            "interrupted_after and adapter.method adalora: what it has measured of its ranks is in no checkpoint",
            "leave one of them out",
        )
    return None


@rule
def agrees_with_uninterrupted(recipe: Recipe) -> tuple[str, str] | None:
    if "uninterrupted" in recipe.agrees_with and recipe.interrupted_after is None:
        return "agrees_with uninterrupted, and nothing interrupts the run", "set interrupted_after, or leave it out"
    return None
