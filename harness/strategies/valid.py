"""Recipes that can work. What goes with what is decided while drawing: nothing is drawn and then thrown away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from harness.recipe import Recipe
from harness.strategies.adapters import adapters
from harness.strategies.data import data, seen_by, told_apart
from harness.strategies.families import FAMILIES, facts_of
from harness.strategies.running import (
    Setup,
    agreements,
    attentions,
    budgets,
    checkpointing,
    deepspeeds,
    interruptions,
    loggings,
)
from harness.strategies.saving import saves
from harness.strategies.starting import starts
from harness.strategies.steps import optimizers, precisions, scalers
from harness.strategies.tuning import components_of, tunes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import DrawFn, SearchStrategy

Settings = dict[str, Any]
__all__ = ["FAMILIES", "recipes", "settings_of"]
SHORTEST, LONGEST = 2, 4  # steps: two show what moves from step to step, and nothing shows after four that did not
ALONE = ("fork",)


def recipes(
    families: Sequence[str] = FAMILIES,
    engines: Sequence[str] = ("torch",),
    processes: Sequence[int] = (1,),
    launchers: Sequence[str] = ALONE,
    components: Sequence[str] | None = None,
    interrupted: bool = True,
) -> SearchStrategy[Recipe]:
    """Tiny recipes that can be trained here, of these families, by these engines, in so many processes started so.

    `components` are all that may train or carry an adapter; some are `interrupted`, and made in two runs. The simplest
    of a family, which a failing example shrinks to, trains its connector in fp32 and says nothing else.
    """
    return settings_of(families, engines, processes, launchers, components, interrupted).map(Recipe.model_validate)


@st.composite
def settings_of(
    draw: DrawFn,
    families: Sequence[str] = FAMILIES,
    engines: Sequence[str] = ("torch",),
    processes: Sequence[int] = (1,),
    launchers: Sequence[str] = ALONE,
    components: Sequence[str] | None = None,
    interrupted: bool = True,
) -> Settings:
    """The same as plain settings, as a suite has them."""
    facts = facts_of(draw(st.sampled_from(list(families)))).only(components)
    engine, world = draw(st.sampled_from(list(engines))), draw(st.sampled_from(list(processes)))
    steps = LONGEST if facts.experts else draw(st.integers(SHORTEST, LONGEST))
    precision = draw(precisions())
    adapter = draw(adapters(facts, steps, engine, precision))
    tune = draw(tunes(facts, adapter))
    scaler = draw(scalers(precision, engine, steps))
    setup = Setup(facts, engine, world, steps, precision, adapter, tune, scaler)
    settings: Settings = {
        "family": facts.name,
        "trust_remote_code": facts.remote_code,
        "tune": tune,
        **({"lora" if adapter.get("method", "lora") == "lora" else "adapter": adapter} if adapter else {}),
        "precision": precision,
        "tf32": draw(st.booleans()),
        "loss_scaler": scaler,
        "engine": engine,
        "deepspeed": draw(deepspeeds(setup)),
        "processes": world,
        **draw(_with(setup, interrupted)),
        "steps": steps,
        "seed": draw(st.integers(0, 3)),
    }
    if world > 1:
        settings["launch"] = {"by": draw(st.sampled_from(list(launchers)))}
    return {name: value for name, value in settings.items() if value not in ({}, [], None, False) or name == "tune"}


@st.composite
def _with(draw: DrawFn, setup: Setup, interrupted: bool) -> Settings:
    """What of a recipe depends on what trains and on who trains it."""
    facts, precision, engine = setup.facts, setup.precision, setup.engine
    carrying = setup.adapter.get("components", ["language"]) if setup.adapter else []
    chosen: Settings = {
        "attention": draw(attentions(setup)),
        "checkpointing": draw(checkpointing(setup)),
        "optimizer": draw(optimizers(_own_rates_of(setup), precision, engine, facts.averages(engine), setup.method)),
        "data": seen_by(
            {*components_of(setup.tune), *carrying}, told_apart(precision, draw(data(facts, setup.processes, engine)))
        ),
        "save": draw(saves(facts, setup.tune, setup.adapter, precision, engine)),
        "logging": draw(loggings(setup)),
        "interrupted_after": draw(interruptions(setup)) if interrupted else None,
    }
    begun = draw(starts(setup, chosen["save"]))
    return {**chosen, **begun, "agrees_with": draw(agreements(setup, chosen)), "budget": draw(budgets(setup))}


def _own_rates_of(setup: Setup) -> list[str]:
    """Components that may have a rate of their own."""
    return [one for one in components_of(setup.tune) if one in setup.facts.trainable]
