"""What cannot work of several processes, by name; see `rules`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.recipe.rules.registry import rule

if TYPE_CHECKING:
    from harness.recipe.model import Recipe


@rule
def data_for_each_process(recipe: Recipe) -> tuple[str, str] | None:
    """A process that runs out of data before the others leaves them waiting for it."""
    together = recipe.data.batch_size * recipe.processes
    if recipe.processes > 1 and recipe.data.samples and recipe.data.samples % together:
        return (
            f"data.samples {recipe.data.samples} over {recipe.processes} processes in batches of"
            f" {recipe.data.batch_size}: some would have a batch less than the others",
            f"set data.samples to a multiple of {together}",
        )
    return None


@rule
def reentrant_in_one_process(recipe: Recipe) -> tuple[str, str] | None:
    """torch raises "Expected to mark a variable ready only once", in one process before the others, which then wait."""
    if recipe.checkpointing == "reentrant" and recipe.processes > 1 and recipe.engine != "deepspeed":
        return (
            f"checkpointing reentrant and processes {recipe.processes}: a model that looks for parameters left unused"
            " takes each for ready twice",
            "set checkpointing: true",
        )
    return None


@rule
def hostfile_of_its_launcher(recipe: Recipe) -> tuple[str, str] | None:
    if recipe.launch.hostfile and recipe.launch.by != "deepspeed":
        return (
            f"launch.hostfile {recipe.launch.hostfile} and launch.by {recipe.launch.by}: that is DeepSpeed's",
            "set launch.by: deepspeed, or leave it out",
        )
    return None


@rule
def port_of_a_command(recipe: Recipe) -> tuple[str, str] | None:
    if recipe.launch.port and recipe.launch.by == "fork":
        return (
            f"launch.port {recipe.launch.port} and launch.by fork: forked processes meet over a file",
            "name who starts them, such as launch.by: torchrun, or leave the port out",
        )
    return None


@rule
def agrees_with_one_process(recipe: Recipe) -> tuple[str, str] | None:
    if "one-process" not in recipe.agrees_with:
        return None
    if recipe.processes == 1:
        return "agrees_with one-process, and processes is 1", "set processes: 2, or leave it out"
    if recipe.optimizer.loss_average != "token":
        return (
            f"agrees_with one-process, and optimizer.loss_average {recipe.optimizer.loss_average}: a mean of means is"
            " another number",
            "set optimizer.loss_average: token",
        )
    return None
