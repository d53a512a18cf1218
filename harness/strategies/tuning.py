"""What trains: components, whole or in part, unions of them, alone or beside an adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from harness.recipe.components import UNIONS
from harness.strategies.adapters import carriers, trains_alone

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

    from harness.strategies.families import FamilyFacts

Settings = dict[str, Any]


def tunes(facts: FamilyFacts, adapter: Settings | None) -> SearchStrategy[Settings]:
    """Extents by component. Beside an adapter: what is whole, is no part of it, and of which peft keeps a copy."""
    if adapter is None:
        return st.one_of(_whole_or_in_part(facts), _union(facts))
    if trains_alone(facts, adapter):
        return st.just({})
    carry = carriers(adapter)
    copied = {"connector"} if "modules_to_save" in adapter else set()
    kept = [one for one in facts.kept if one not in carry and one not in copied]
    return (
        st.lists(st.sampled_from(kept), unique=True).map(lambda names: dict.fromkeys(names, "all"))
        if kept
        else st.just({})
    )


def components_of(tune: Settings) -> list[str]:
    """The components that are tuned, unions taken apart."""
    return [one for name in tune for one in UNIONS.get(name, (name,))]


@st.composite
def _whole_or_in_part(draw: DrawFn, facts: FamilyFacts) -> Settings:
    some = st.lists(st.sampled_from(facts.components), min_size=1, unique=True)
    names = draw(st.one_of(st.just([facts.components[0]]), some))  # a first stage, most often of all, trains just that
    return {name: draw(_extent(facts, name)) for name in names}


@st.composite
def _union(draw: DrawFn, facts: FamilyFacts) -> Settings:
    """Unions bring along what a family may lack."""
    within = [name for name in ("llm", "all") if facts.trains_all_of(name)]
    if not within:
        return draw(_whole_or_in_part(facts))
    name = draw(st.sampled_from(within))
    beside = [one for one in facts.components[:1] if one not in UNIONS[name]]
    return dict.fromkeys([*beside, name], "all")


def _extent(facts: FamilyFacts, component: str) -> SearchStrategy[Any]:
    # A tower's last layer may lie above the one whose features are taken: it alone would be tuned in vain.
    last = 2 if component == "vision" else 1
    parts: list[Any] = [{"last": last}] if component in facts.handles.layers else []
    parts += [{"named": ["weight$"]}]  # what is learned beside weights stays: biases, queries
    return st.sampled_from(["all", *parts])
