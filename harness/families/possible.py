"""What a recipe asks of a family that the family, or what is installed, does not have."""

from __future__ import annotations

from harness import stack
from harness.families.family import Family, NeedsReleases, family_of
from harness.recipe import Recipe
from harness.recipe.fields import Tune
from harness.recipe.starting import own_towers
from harness.refusal import Refused


def check_possible(recipe: Recipe) -> None:
    """Refuse, before anything is built, what the recipe asks of a family that the family does not have."""
    chosen = family_of(recipe)
    _check_installed(recipe, chosen)
    if recipe.size not in chosen.sizes:
        raise Refused(f"size: {chosen.name} has no size {recipe.size}", do=f"use {' or '.join(chosen.sizes)}")
    for part in recipe.tune:
        _check_tuned(recipe, part, chosen)
    known_towers = {tower.setting for tower in chosen.handles.towers}
    for setting in own_towers(recipe).keys() - known_towers:
        raise Refused(
            f"start_from.{setting.removeprefix('mm_')}: no tower of {chosen.name} has a directory of its own named so",
            do=f"it has {', '.join(sorted(known_towers)) or 'none'}",
        )
    for name in recipe.peft.components if recipe.peft else ():
        if name not in chosen.handles.components:
            raise Refused(f"lora.components: {chosen.name} has no component {name}", do=_known(chosen))
    chosen.intent(recipe)


def _check_installed(recipe: Recipe, chosen: Family) -> None:
    """The libraries that are there, and whether code files may run."""
    if isinstance(chosen, NeedsReleases):
        stack.refuse_older(chosen.name, chosen.needs)
    if chosen.remote_code and not recipe.trust_remote_code:
        raise Refused(
            f"trust_remote_code: {chosen.name} comes as code files in its directory, and they would run",
            do="look at the code, then set trust_remote_code: true",
        )
    if "vision" in chosen.handles.components and recipe.size != "full":
        stack.refuse_without_image_processors(chosen.name)


def _check_tuned(recipe: Recipe, part: Tune, chosen: Family) -> None:
    handles = chosen.handles
    if part.component not in handles.components:
        if part.if_present:
            return
        raise Refused(f"tune: {chosen.name} has no component {part.component}", do=_known(chosen))
    if part.last and part.component not in handles.layers:
        raise Refused(f"tune: {part.component} of {chosen.name} has no list of layers", do="use named, not last")
    if recipe.peft and not recipe.save.beside_adapter and part.component not in handles.saved_with_adapter:
        raise Refused(
            f"tune: {part.component} cannot be tuned beside an adapter: peft keeps no copy of it",
            do="put the adapter on it instead, or save it beside the adapter: save.beside_adapter",
        )
    if recipe.saves == "projector" and part.component not in handles.in_projector_file:
        held = ", ".join(handles.in_projector_file) or "nothing"
        raise Refused(
            f"save.what projector and tune {part.component}: a projector's file of {chosen.name} holds {held}",
            do="set save.what: full, or tune the connector alone",
        )


def _known(chosen: Family) -> str:
    return f"{chosen.name} has {', '.join(chosen.handles.components)}"


def refuse_code(family: Family, trusted: bool) -> None:
    """Refuse a directory that brings code, which would run as soon as it is looked at, unless it is trusted."""
    if getattr(family, "brings_code", False) and not trusted:
        raise Refused(
            f"{family.name} comes as code files in its directory, and they would run",
            do="look at the code, then add --trust-remote-code",
        )
