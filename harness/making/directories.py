"""Makes what a run starts from: base directories, towers of their own, inputs for what will be verified.

These are jobs that workers run.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.making.precision import weights_dtype
from harness.places import MODULES, STREAM
from harness.recipe import Recipe
from harness.seams import Moment, Seam


@contextmanager
def whole(directory: Path) -> Iterator[Path]:
    """A directory beside it to write into, which takes its place at the end; before that, nothing is left of it."""
    partial = directory.with_name(f".{directory.name}.{os.getpid()}")
    partial.mkdir(parents=True)
    try:
        yield partial
        partial.rename(directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def make_base(argument: dict[str, Any]) -> None:
    """Job: write a family's tiny base directory, whole or not at all."""
    from harness import stack
    from harness.families import family
    from harness.faults import seams_with

    stack.quiet()
    with whole(Path(argument["directory"])) as partial:
        stack.use_modules_cache(partial / MODULES)
        family(argument["family"]).write_base(partial)
        shutil.rmtree(partial / MODULES, ignore_errors=True)
        seams_with(argument.get("faults", ())).alter(Seam.BASE_WRITTEN, partial, Moment(base=partial))


def make_tower(argument: dict[str, Any]) -> None:
    """Job: take a tower out of a family's base directory into one of its own, whole or not at all."""
    import torch

    from harness import stack
    from harness.checkpoint.towers import write_tower
    from harness.families import family
    from harness.faults import seams_with

    stack.quiet()
    chosen = family(argument["family"])
    tower = next(one for one in chosen.handles.towers if one.setting == argument["setting"])
    with whole(Path(argument["directory"])) as partial:
        stack.use_modules_cache(partial / MODULES)
        loaded = chosen.load(Path(argument["base"]), torch.float32)
        write_tower(loaded.model, tower, partial)
        seams_with(argument.get("faults", ())).alter(Seam.TOWER_WRITTEN, partial, Moment(base=partial))
        shutil.rmtree(partial / MODULES, ignore_errors=True)


def make_probe_inputs(argument: dict[str, Any]) -> None:
    """Job: encode the probe samples with a base directory's own processor, for the process that will verify it."""
    from harness import stack
    from harness.families import family_of
    from harness.making.probing import leave_request, probe_inputs

    stack.quiet()
    place, base = Path(argument["place"]), Path(argument["base"])
    stack.use_modules_cache(place / MODULES / "made")
    recipe = Recipe.model_validate(argument["recipe"])
    chosen = family_of(recipe)
    loaded = chosen.load(base, weights_dtype(recipe))
    leave_request(
        place,
        probe_inputs(recipe, chosen, loaded),
        chosen,
        directory=str(base),
        stream=str(place / STREAM),
        modules=str(place / MODULES / "loaded"),
        dtype=str(weights_dtype(recipe)).split(".")[-1],
        device=recipe.device,
        tf32=recipe.tf32,
        attention=recipe.attention,
        trust_remote_code=recipe.trust_remote_code,
        loader=recipe.save.loader,
        processor_loader=recipe.save.processor_loader,
        processor=argument["processor"],
    )
