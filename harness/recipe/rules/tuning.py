"""What cannot train together, by name; see `rules`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.own_code import installed
from harness.recipe.rules.registry import rule

if TYPE_CHECKING:
    from harness.recipe.model import Recipe

ENGINES = ("torch", "trainer", "deepspeed")
# Engines that want more than `finetune-harness[train]` brings, under their own names, and how it is had.
NEEDS_INSTALLED = {"deepspeed": "pip install setuptools && DS_BUILD_OPS=0 pip install --no-build-isolation deepspeed"}


@rule
def something_trains(recipe: Recipe) -> tuple[str, str] | None:
    if not recipe.tune and not recipe.peft:
        return (
            "tune is empty and there is no adapter: nothing would train",
            "name a component in tune, or add lora",
        )
    return None


@rule
def each_component_once(recipe: Recipe) -> tuple[str, str] | None:
    names = [t.component for t in recipe.tune]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        return f"tune names {', '.join(twice)} more than once", "name each component once"
    return None


@rule
def last_or_named(recipe: Recipe) -> tuple[str, str] | None:
    for tune in recipe.tune:
        if tune.last and tune.named:
            return f"tune: {tune.component} has both last and named", "keep one of them"
    return None


@rule
def full_size_is_planned_only(recipe: Recipe) -> tuple[str, str] | None:
    if recipe.size == "full":
        return (
            "size full does not train: its weights do not fit the machines this runs on",
            "use size: tiny to train, and harness plan --size full for counts and targets",
        )
    return None


@rule
def engine_is_installed(recipe: Recipe) -> tuple[str, str] | None:
    if recipe.engine not in ENGINES and ":" not in recipe.engine and recipe.engine not in installed("engine"):
        do = f"use one of: {', '.join(ENGINES)}, or module:function of your own"
        return f"engine {recipe.engine!r} is not installed", do
    return None
