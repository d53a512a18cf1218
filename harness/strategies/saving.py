"""What is left behind: whole models, what was trained alone, an adapter, native state dicts, nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from harness.strategies.tuning import components_of

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from harness.strategies.families import FamilyFacts

Settings = dict[str, Any]
ONE_FILE = {"max_shard_size": "1GB"}


def saves(
    facts: FamilyFacts, tune: Settings, adapter: Settings | None, precision: str, engine: str
) -> SearchStrategy[Settings]:
    """Ways of saving that go with what was trained; the first is what a recipe has that says nothing."""
    ways = _of_an_adapter(facts, tune, adapter) if adapter else _of_a_model(facts, tune, precision, engine)
    if engine == "trainer":
        ways += [{"by": "trainer"}, {"by": "trainer", "tokenizer": True}]
    beside: list[Settings] = [{"tokenizer": True}]
    if "loader" not in facts.saved:  # OmniLMM's asks the tokenizer that was saved
        beside.insert(0, {"processor": False})
    if not facts.remote_code:  # a tokenizer by itself may name code that lies with a processor
        beside.append({"processor": False, "tokenizer": True})
    return st.sampled_from([{**facts.saved, **way} for way in (*ways, *beside, {"what": "nothing"})])


def _of_a_model(facts: FamilyFacts, tune: Settings, precision: str, engine: str) -> list[Settings]:
    ways: list[Settings] = [{}, {"what": "partial"}, {"files_from_base": True}, {"format": "bin"}]
    ways += [ONE_FILE, {"format": "bin", **ONE_FILE}]
    if set(components_of(tune)) <= set(facts.handles.in_projector_file):
        ways.append({"what": "projector"})
    if facts.handles.native_ending and engine == "torch":
        native: Settings = {"what": "native"}
        half = [] if precision.startswith("pure-") else [{**native, "half": True}]
        ways += [native, *half, {**native, "name": "full_sft"}, {**native, "resume": True}]
    return ways


def _of_an_adapter(facts: FamilyFacts, tune: Settings, adapter: Settings) -> list[Settings]:
    """What trains in place beside an adapter lies in a file of its own, or peft keeps copies. Biases that train with
    the adapter would lie in both."""
    ways: list[Settings] = [{}]
    if tune and not {"modules_to_save", "bias"} & set(adapter):
        ways += [{"beside_adapter": "non_lora_trainables.bin"}, {"beside_adapter": "vpm_resampler_embedtokens.pt"}]
    return ways
