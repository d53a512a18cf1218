"""What is seen: kinds of samples in batches, all before the first step or one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

    from harness.strategies.families import FamilyFacts

Settings = dict[str, Any]
KINDS = ("image", "blank", "several", "text")


@st.composite
def data(draw: DrawFn, facts: FamilyFacts) -> Settings:
    """A family that mixes no text into a batch with pictures has one or the other."""
    if not facts.sees:
        mix = ["text"]
    elif facts.mixes:
        mix = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4, unique=True))
    else:
        mix = draw(st.lists(st.sampled_from(KINDS[:3]), min_size=1, max_size=3, unique=True))
    chosen: Settings = {"mix": mix, "batch_size": draw(st.sampled_from([2, 1, 3]))}
    if draw(st.booleans()):
        chosen["lazy"] = True
    return chosen
