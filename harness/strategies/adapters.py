"""Adapters: LoRA with its options, the other methods by name, and a family's own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import DrawFn, SearchStrategy

    from harness.strategies.families import FamilyFacts

Settings = dict[str, Any]
PROMPTS = ("prompt_tuning", "p_tuning", "prefix_tuning")
PROMPTED = {"task_type": "CAUSAL_LM", "num_virtual_tokens": 4}
# One step to warm up, one on the way, one to decide and one for what is left: fewer steps come to no decision.
STEPS_OF_ADALORA = 4


def adapters(facts: FamilyFacts, steps: int, engine: str, precision: str) -> SearchStrategy[Settings | None]:
    """None, or an adapter where the family's published modes put one, or on its own tower."""
    if not facts.targets:
        return st.none()
    # In weights of 16 bits peft makes AdaLoRA's count of ranks anew, as something that trains (peft 0.21.2)
    allocates = steps >= STEPS_OF_ADALORA and engine == "torch" and not precision.startswith("pure-")
    some = st.one_of(_lora(facts), _other(facts, steps if allocates else 0, _own(facts, precision)))
    return st.booleans().flatmap(lambda wanted: some if wanted else st.none())


def trains_alone(facts: FamilyFacts, adapter: Settings) -> bool:
    """Whether nothing can be tuned beside it: prompts, and adapters that are not peft's."""
    return adapter.get("method", "lora") in (*PROMPTS, *facts.handles.own_adapters)


def carriers(adapter: Settings) -> list[str]:
    """The components that are meant to carry an adapter."""
    found: list[str] = adapter.get("components", ["language"])
    return found


@st.composite
def _lora(draw: DrawFn, facts: FamilyFacts) -> Settings:
    rank = draw(st.sampled_from([4, 1, 2, 8]))
    placed = draw(_places(facts))
    chosen: Settings = {
        "rank": rank,
        "alpha": draw(st.sampled_from([16, 1, 2 * rank])),
        "dropout": draw(st.sampled_from([0.0, 0.05])),
        **placed,
    }
    for option in ("rslora",) if "lora_bias" in placed else ("dora", "rslora"):
        if draw(st.booleans()):
            chosen[option] = True
    name = draw(st.sampled_from([None, *named_by(placed["targets"])]))
    if name:
        pattern = draw(st.sampled_from([{"rank_pattern": {name: 3}}, {"alpha_pattern": {name: 5}}]))
        chosen |= pattern
    if draw(st.booleans()) and "lora_bias" not in placed:
        chosen["init"] = "gaussian"
    if facts.copied and draw(st.booleans()):
        chosen["modules_to_save"] = [facts.copied]
    return chosen


@st.composite
def _places(draw: DrawFn, facts: FamilyFacts) -> Settings:
    """Where it sits: as published; on single names, all else excluded by its path; on the tower, with its biases."""
    targets = draw(st.sampled_from(facts.targets))
    ways: list[Settings] = [{"targets": _plain(targets)}]
    if names := named_by(targets):
        listed: Settings = {"targets": names, "exclude": facts.all_but_language}
        ways.append(listed)
        if facts.layers_by_number:
            ways += [{**listed, "layers_to_transform": [0]}]
            ways += [{**listed, "layers_to_transform": [1], "layers_pattern": "layers"}]
    if facts.tower_targets:
        on_tower: Settings = {"targets": facts.tower_targets, "components": ["vision"]}
        ways += [on_tower, {**on_tower, "bias": "lora_only"}, {**on_tower, "lora_bias": True}]
    return draw(st.sampled_from(ways))


@st.composite
def _other(draw: DrawFn, facts: FamilyFacts, steps_to_allocate: int, own: Sequence[str]) -> Settings:
    on_layers = {"targets": _plain(draw(st.sampled_from(facts.targets)))}
    ways: list[Settings] = [
        {"method": "loha", **on_layers, "options": {"r": 4, "alpha": 8}},
        {"method": "lokr", **on_layers, "options": {"r": 4, "alpha": 8, "decompose_both": True}},
        {"method": "vera", **on_layers, "options": {"r": 16}},
        {"method": "oft", **on_layers, "options": {"oft_block_size": 4}},
        {"method": "boft", **on_layers, "options": {"boft_block_size": 4}},
        {"method": "ia3", **on_layers, "options": {"feedforward_modules": []}},
        {"method": "ln_tuning", "targets": facts.norms},
        *({"method": method, "options": PROMPTED} for method in facts.prompts),
        *({"method": method, "options": {"rank": 8}} for method in own),
    ]
    if steps := steps_to_allocate:
        plan = {"init_r": 6, "target_r": 3, "tinit": 1, "tfinal": steps - 3, "deltaT": 1, "total_step": steps}
        options = {**plan, "lora_alpha": 12, **facts.adalora_options}
        ways.append({"method": "adalora", **on_layers, "options": options})
    return draw(st.sampled_from(ways))


def _own(facts: FamilyFacts, precision: str) -> Sequence[str]:
    """The family's own adapters. MiniMind's sits on the tower as well, which runs under no_grad and learns nothing; and
    it is saved in fp16, which has no such small numbers as bf16."""
    return () if facts.sees or precision == "pure-bf16" else tuple(facts.handles.own_adapters)


def named_by(targets: Any) -> list[str]:
    """The names of single modules that targets end in: those of a list, or the alternatives of an expression."""
    if not isinstance(targets, str):
        return list(targets)
    last = re.search(r"\((?:\?:)?([\w|]+)\)$", targets)
    return last[1].split("|") if last else []


def _plain(targets: Any) -> Any:
    return list(targets) if isinstance(targets, tuple) else targets
