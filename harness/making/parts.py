"""What a run starts with beside its base directory: towers and parts of earlier stages."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from harness.checkpoint.overlay import lay_over, part_tensors
from harness.checkpoint.towers import use_own_towers
from harness.recipe import Recipe
from harness.seams import Moment, Seam, Seams

if TYPE_CHECKING:
    import torch

    from harness.families import Family
    from harness.families.family import Loaded


def loaded_base(family: Family, recipe: Recipe, base: Path, dtype: torch.dtype) -> Loaded:
    """The base, loaded as the recipe says; only families that can be told are told how attention is computed."""
    load = cast("Callable[..., Loaded]", family.load)
    return load(base, dtype, attention=recipe.attention) if recipe.attention else load(base, dtype)


def created(model: Any) -> Any:
    """The same model made from its configuration, and given the weights: nothing in it knows of any file's keys.

    What making one draws at random counts for nothing, and other versions draw otherwise.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        made = type(model)(copy.deepcopy(model.config))
    made.load_state_dict(model.state_dict(), assign=True)
    made.tie_weights()
    for parameter, own in zip(made.parameters(), model.parameters(), strict=True):
        parameter.requires_grad_(own.requires_grad)
    made.generation_config = model.generation_config
    return made.train(model.training)


def own_towers(model: Any, recipe: Recipe, family: Family, settings: dict[str, str]) -> list[dict[str, Any]]:
    """Towers made anew from directories of their own, as trainers do, which write into the configuration where from,
    and that the checkpoint's own weights are to be kept once they have trained."""
    if not family.handles.towers:
        return []
    model.config.update(settings)
    made = use_own_towers(model, family.handles.towers)
    tuned = {part.component for part in recipe.tune}
    named = {tower["setting"] for tower in made}
    kept = [tower.kept for tower in family.handles.towers if tower.setting in named and tower.component in tuned]
    model.config.update(dict.fromkeys(kept, True))
    return made


def lay_parts_over(model: Any, parts: Sequence[dict[str, str]], base: Path, seams: Seams) -> None:
    """What earlier stages have left, as their trainers load it: by name, and whatever has no place is not said."""
    for part in parts:
        if part["kind"] != "adapter":
            file = Path(part["file"])
            tensors = seams.alter(Seam.PART, part_tensors(file), Moment(model=model, base=base))
            lay_over(model, tensors, file.name)


def with_parts(inventory: dict[str, Any], family: Family) -> dict[str, Any] | None:
    """The tensors of the base directory, those that other files are laid over in their place."""
    if not (parts := inventory.get("parts")):
        return inventory.get("tensors")
    laid_over = {family.naming.canonical(key): prints for part in parts for key, prints in part.items()}
    return {**inventory["tensors"], **laid_over}
