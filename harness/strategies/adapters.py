"""Adapters: LoRA with its options, and the other methods by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

    from harness.strategies.families import FamilyFacts

Settings = dict[str, Any]
PROMPTS = ("prompt_tuning", "p_tuning", "prefix_tuning")
PROMPTED = {"task_type": "CAUSAL_LM", "num_virtual_tokens": 4}


def adapters(facts: FamilyFacts) -> SearchStrategy[Settings | None]:
    """None, or an adapter on the language layers, where the family's published modes put one."""
    if not facts.targets:
        return st.none()
    some = st.one_of(_lora(facts.targets), _other(facts.targets, facts.prompts))
    return st.booleans().flatmap(lambda wanted: some if wanted else st.none())


@st.composite
def _lora(draw: DrawFn, targets: tuple[Any, ...]) -> Settings:
    rank = draw(st.sampled_from([4, 1, 2, 8]))
    chosen: Settings = {
        "rank": rank,
        "alpha": draw(st.sampled_from([16, 1, 2 * rank])),
        "dropout": draw(st.sampled_from([0.0, 0.05])),
        "targets": _plain(draw(st.sampled_from(targets))),
    }
    for option in ("dora", "rslora"):
        if draw(st.booleans()):
            chosen[option] = True
    return chosen


@st.composite
def _other(draw: DrawFn, targets: tuple[Any, ...], prompts: bool) -> Settings:
    on_layers = {"targets": _plain(draw(st.sampled_from(targets)))}
    return draw(
        st.sampled_from(
            [
                {"method": "loha", **on_layers, "options": {"r": 4, "alpha": 8}},
                {"method": "lokr", **on_layers, "options": {"r": 4, "alpha": 8, "decompose_both": True}},
                {"method": "vera", **on_layers, "options": {"r": 16}},
                {"method": "oft", **on_layers, "options": {"oft_block_size": 8}},
                *({"method": method, "options": PROMPTED} for method in (PROMPTS if prompts else ())),
            ]
        )
    )


def _plain(targets: Any) -> Any:
    return list(targets) if isinstance(targets, tuple) else targets
