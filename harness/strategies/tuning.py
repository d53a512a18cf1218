"""What trains: components, whole or in part, alone or beside an adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

    from harness.strategies.families import FamilyFacts

Settings = dict[str, Any]
PROMPTS = ("prompt_tuning", "p_tuning", "prefix_tuning")


def tunes(facts: FamilyFacts, adapter: Settings | None) -> SearchStrategy[Settings]:
    """Extents by component. Beside an adapter: what is whole, is no part of it, and of which peft keeps a copy."""
    if adapter is None:
        return _whole_or_in_part(facts)
    if adapter.get("method", "lora") in (*PROMPTS, *facts.handles.own_adapters):
        return st.just({})
    carries = adapter.get("components", ["language"])
    kept = [one for one in facts.handles.saved_with_adapter if one not in carries and one != "language"]
    return (
        st.lists(st.sampled_from(kept), unique=True).map(lambda names: dict.fromkeys(names, "all"))
        if kept
        else st.just({})
    )


@st.composite
def _whole_or_in_part(draw: DrawFn, facts: FamilyFacts) -> Settings:
    some = st.lists(st.sampled_from(facts.components), min_size=1, unique=True)
    names = draw(st.one_of(st.just([facts.components[0]]), some))  # a first stage, most often of all, trains just that
    return {name: draw(_extent(facts, name)) for name in names}


def _extent(facts: FamilyFacts, component: str) -> SearchStrategy[Any]:
    parts = [{"last": 1}] if component in facts.handles.layers else []
    return st.sampled_from(["all", *parts])
