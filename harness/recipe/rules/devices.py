"""What cannot be made on a GPU, by name; see `rules`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.recipe.rules.registry import rule

if TYPE_CHECKING:
    from harness.recipe.model import Recipe


@rule
def one_process_on_a_gpu(recipe: Recipe) -> tuple[str, str] | None:
    """NCCL takes no two processes on one GPU, and a run here has one."""
    if recipe.device != "cpu" and recipe.processes > 1:
        return (
            f"device {recipe.device} and processes {recipe.processes}: they would share one GPU",
            "set processes: 1, or device: cpu",
        )
    return None


@rule
def deepspeed_on_the_cpu(recipe: Recipe) -> tuple[str, str] | None:
    if recipe.device != "cpu" and recipe.engine == "deepspeed":
        return (
            f"device {recipe.device} and engine deepspeed: its engine is made for the CPU here",
            "set device: cpu, or another engine",
        )
    return None


@rule
def forked_off_the_gpu(recipe: Recipe) -> tuple[str, str] | None:
    """A launcher's own processes choose their GPU by themselves."""
    if recipe.device != "cpu" and recipe.launch.by != "fork":
        return (
            f"device {recipe.device} and launch.by {recipe.launch.by}: its processes would choose their GPU",
            "leave launch.by out",
        )
    return None
