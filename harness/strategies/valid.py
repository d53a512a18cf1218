"""Recipes that can work. What goes with what is decided while drawing: nothing is drawn and then thrown away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from harness.recipe import Recipe
from harness.strategies.adapters import adapters
from harness.strategies.data import data
from harness.strategies.families import FAMILIES, FamilyFacts, facts_of
from harness.strategies.saving import saves
from harness.strategies.steps import optimizers, precisions, scalers
from harness.strategies.tuning import tunes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import DrawFn, SearchStrategy

Settings = dict[str, Any]
__all__ = ["FAMILIES", "recipes", "settings_of"]
SHORTEST, LONGEST = 2, 4  # steps: two show what moves from step to step, and nothing shows after four that did not


def recipes(
    families: Sequence[str] = FAMILIES, engines: Sequence[str] = ("torch",), processes: Sequence[int] = (1,)
) -> SearchStrategy[Recipe]:
    """Tiny recipes that can be trained here, of these families, by these engines, in so many processes.

    The simplest of a family, which a failing example shrinks to, trains its connector in fp32 and says nothing else.
    """
    return settings_of(families, engines, processes).map(Recipe.model_validate)


@st.composite
def settings_of(
    draw: DrawFn,
    families: Sequence[str] = FAMILIES,
    engines: Sequence[str] = ("torch",),
    processes: Sequence[int] = (1,),
) -> Settings:
    """The same as plain settings, as a suite has them."""
    facts = facts_of(draw(st.sampled_from(list(families))))
    engine, world = draw(st.sampled_from(list(engines))), draw(st.sampled_from(list(processes)))
    steps = draw(st.integers(SHORTEST, LONGEST))
    precision = draw(precisions())
    adapter = draw(adapters(facts))
    tune = draw(tunes(facts, adapter))
    scaler = draw(scalers(precision))
    settings: Settings = {
        "family": facts.name,
        "trust_remote_code": facts.remote_code,
        "tune": tune,
        **({"lora" if adapter.get("method", "lora") == "lora" else "adapter": adapter} if adapter else {}),
        "precision": precision,
        "loss_scaler": scaler,
        "engine": engine,
        "processes": world,
        "checkpointing": draw(_checkpointing(facts, tune, adapter, world, engine)),
        "optimizer": draw(optimizers(tune, precision)),
        "data": draw(data(facts)),
        "save": draw(saves(facts, tune, adapter, precision)),
        "steps": steps,
        "seed": draw(st.integers(0, 3)),
    }
    return {name: value for name, value in settings.items() if value not in ({}, [], None, False) or name == "tune"}


def _checkpointing(
    facts: FamilyFacts, tune: Settings, adapter: Settings | None, world: int, engine: str
) -> SearchStrategy[Any]:
    """Prefixes have no cache to lie in where layers are computed again; reentrant is for one process."""
    if adapter and adapter.get("method") == "prefix_tuning":
        return st.just(False)
    possible = facts.recomputes_with_embeddings if tune.get("embeddings") == "all" else facts.recomputes
    return st.sampled_from([False, *(one for one in possible if one is True or (world == 1 and engine == "torch"))])
