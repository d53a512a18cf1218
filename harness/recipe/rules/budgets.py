"""What no budget can be held against, by name; see `rules`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.recipe.rules.registry import rule

if TYPE_CHECKING:
    from harness.recipe.model import Recipe


@rule
def budget_of_something(recipe: Recipe) -> tuple[str, str] | None:
    if recipe.budget and not (recipe.budget.throughput or recipe.budget.memory):
        return "budget states neither throughput nor memory", "write budget: {throughput: {of_bare: 0.5}}"
    return None


@rule
def budget_of_one_process(recipe: Recipe) -> tuple[str, str] | None:
    """Several processes share the cores of one machine: neither the bare loop nor a rate would be theirs."""
    if recipe.budget and recipe.processes > 1:
        return f"budget and processes {recipe.processes}: what is measured is one process", "set processes: 1"
    return None


@rule
def budget_of_a_loop_of_steps(recipe: Recipe) -> tuple[str, str] | None:
    """DeepSpeed keeps weights, gradients and states in memory of its own, and takes the model apart."""
    if recipe.budget and recipe.engine == "deepspeed":
        return "budget and engine deepspeed: what it keeps and when it steps is not seen", "set engine: torch"
    return None
