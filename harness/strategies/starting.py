"""What training starts from: the family's base, its own towers, or what an earlier recipe has left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from harness.strategies.running import SELDOM

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

    from harness.strategies.running import Setup

Settings = dict[str, Any]
EARLIER = "earlier"  # the name of the recipe that a drawn one starts from
ADDED = (2, 70)  # fewer tokens than a vocabulary has rows to spare, and more


@st.composite
def starts(draw: DrawFn, setup: Setup, save: Settings) -> Settings:
    """`start_from`, `created` and `add_tokens`, most often none of them."""
    facts = setup.facts
    ways: list[Settings] = [{"created": True}] if not facts.remote_code else []
    ways += [{"start_from": {tower.setting.removeprefix("mm_"): "own"}} for tower in facts.handles.towers]
    ways += [{"start_from": {"recipe": EARLIER, "settings": earlier, **how}} for earlier, how in _stages(setup, save)]
    beside = "beside_adapter" in save  # where peft saves embeddings that have grown as well: twice is refused
    if _learns_tokens(setup) and not beside and (save.get("processor", True) or save.get("tokenizer")):
        ways += [{"add_tokens": number} for number in ADDED]
    return draw(st.sampled_from([*[{}] * SELDOM, *ways]))


def _stages(setup: Setup, save: Settings) -> list[tuple[Settings, Settings]]:
    """An earlier recipe's settings, and how what it leaves is taken: whole, over the base, merged into it.

    What is laid over a base is lost again by whoever loads that base and an adapter, or what trained this time alone.
    """
    facts = setup.facts
    plain = {
        "family": facts.name,
        "trust_remote_code": facts.remote_code,
        "tune": {facts.components[0]: "all"},
        "data": {"mix": ["image"] if facts.sees else ["text"]},
        "steps": 2,
        "save": facts.saved,
    }
    stages: list[tuple[Settings, Settings]] = [(plain, {})]
    if facts.handles.native_ending:
        stages.append((_saving(plain, what="native"), {"merge": "native"}))
    if not setup.adapter and save.get("what") not in ("partial", "projector"):
        stages.append((_saving(plain, what="partial"), {}))
        if facts.components[0] in facts.handles.in_projector_file:
            stages.append((_saving(plain, what="projector"), {}))
        if facts.handles.native_ending:
            stages.append((_saving(plain, what="native"), {}))
    if facts.targets:
        published = facts.targets[0]
        lora = {"rank": 4, "targets": list(published) if isinstance(published, tuple) else published}
        stages.append(({**plain, "tune": {}, "lora": lora}, {"merge": "adapter"}))
    return stages


def _saving(settings: Settings, **save: Any) -> Settings:
    return {**settings, "save": {**settings["save"], **save}}


def _learns_tokens(setup: Setup) -> bool:
    """Whether the rows of new tokens train: the embeddings whole, and a head of their own with them."""
    facts, needed = setup.facts, {"embeddings"}
    if "lm_head" in facts.trainable:
        needed.add("lm_head")
    whole = {name for name, extent in setup.tune.items() if extent == "all"}
    return needed <= whole or bool({"llm", "all"} & whole)
