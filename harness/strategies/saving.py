"""What is left behind: whole models, what was trained alone, an adapter, native state dicts, nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from harness.strategies.families import FamilyFacts

Settings = dict[str, Any]


def saves(facts: FamilyFacts, tune: Settings, adapter: Settings | None, precision: str) -> SearchStrategy[Settings]:
    """Ways of saving that go with what was trained; the first is what a recipe has that says nothing."""
    if adapter is not None:
        return st.sampled_from([facts.saved, {"what": "nothing"}])
    ways: list[Settings] = [{}, {"what": "partial"}, {"files_from_base": True}, {"format": "bin"}, {"what": "nothing"}]
    if set(tune) <= set(facts.handles.in_projector_file):
        ways.append({"what": "projector"})
    if facts.handles.native_ending:
        half = [] if precision.startswith("pure-") else [{"what": "native", "half": True}]
        ways += [{"what": "native"}, *half]
    return st.sampled_from([{**facts.saved, **way} for way in ways])
