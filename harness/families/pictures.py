"""Batches in which nothing that trains has a part: texts by themselves, where only what sees pictures trains."""

from __future__ import annotations

from collections.abc import Collection

from harness.recipe import Component, Recipe
from harness.refusal import Refused


def refuse_unreached(recipe: Recipe, seeing: Collection[Component], blank_for_text: bool) -> None:
    """Raise Refused where a loss would depend on nothing that trains: torch then has nothing to go back from.

    `seeing` are the components that only pictures reach. Where `blank_for_text`, a text by itself is given a blank
    picture, so that these have a part in every loss, if none that could teach them anything.
    """
    trains = _trains(recipe)
    if not trains or not trains <= {*seeing}:
        return
    kinds = recipe.data.mix
    if all(kind == "text" for kind in kinds):
        raise Refused(
            f"data.mix holds text alone, and what trains ({', '.join(sorted(trains))}) sees pictures alone",
            do="add image to data.mix, or train a part of the language model",
        )
    if not blank_for_text and _some_batch_of_texts(recipe):
        raise Refused(
            f"data.mix {', '.join(kinds)} in batches of {recipe.data.batch_size}: one holds texts alone, and what"
            f" trains ({', '.join(sorted(trains))}) sees pictures alone",
            do="take text out of data.mix, raise data.batch_size, or train a part of the language model",
        )


def _trains(recipe: Recipe) -> set[Component]:
    """Components that train, in whole or by an adapter; none, where that is not said by component."""
    adapter = recipe.peft
    if adapter and (adapter.is_prompt or adapter.modules_to_save):
        return set()
    return {tune.component for tune in recipe.tune} | set(adapter.components if adapter else ())


def _some_batch_of_texts(recipe: Recipe) -> bool:
    """Whether a micro-batch holds no picture. Places go through the kinds in turn, micro-batches through the places."""
    kinds, size = recipe.data.mix, recipe.data.batch_size
    seen = recipe.samples_seen
    starts = range(0, seen, size)
    first_ones = starts[: len(kinds)]  # then they begin anew
    return any(
        all(kinds[place % len(kinds)] == "text" for place in range(start, min(start + size, seen)))
        for start in (*first_ones, *starts[-1:])
    )
