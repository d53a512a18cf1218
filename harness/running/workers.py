"""The worker processes of a session, and what they import."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.devices import ENVIRONMENT
from harness.families.family import family
from harness.launch import Launcher
from harness.places import folder_name
from harness.recipe import Recipe
from harness.refusal import Lacking

__all__ = ["Workers", "folder_name", "worker_modules"]

ENGINES = {"deepspeed": "harness.engines.deepspeed_loop"}  # whose libraries cost their time to import


@dataclass(frozen=True)
class Workers:
    """Who makes runs and who loads what they saved: two processes that have imported different things."""

    makers: Launcher
    reloaders: Launcher

    def of(self, recipe: Recipe) -> Workers:
        """Those for a recipe: what a GPU is used by is not forked, and comes from a fresh interpreter."""
        if recipe.device == "cpu":
            return self
        return Workers(*(Launcher(None, {**one.environment, **ENVIRONMENT}) for one in (self.makers, self.reloaders)))


def _modules_of(name: str) -> tuple[str, ...]:
    try:
        return family(name).library_modules
    except Lacking:  # nothing is made of a family that the installed libraries do not have
        return ()


def worker_modules(families: Sequence[str], engines: Iterable[str] = ()) -> tuple[list[str], list[str]]:
    """What the makers' and the reloaders' warm parents import: all that their jobs would import one by one.

    Only makers know an engine: a save must load where there is none.
    """
    libraries = [
        "harness.vision_ready",
        "torch",
        "transformers",
        "peft",
        "safetensors.torch",
        "accelerate",
        "PIL.Image",
        "jinja2",
    ]
    models = [module for name in families for module in _modules_of(name)]
    shared = ["harness.stack", "harness.checkpoint.inventory", "harness.trace.writer"]
    makers = [
        "harness.making.directories",
        "harness.making.run",
        "harness.engines.torch_loop",
        "harness.engines.hf_trainer",
        "harness.recording",
        "harness.probes",
        "harness.making.probing",
        "harness.faults",
    ]
    makers += sorted(ENGINES[name] for name in set(engines) if name in ENGINES)
    reloaders = ["harness.reloading.jobs"]
    return [*libraries, *models, *shared, *makers], [*libraries, *models, *shared, *reloaders]
