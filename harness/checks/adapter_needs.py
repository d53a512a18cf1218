"""What the checks of adapters need, and which kinds of adapter they are not for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.checks.needs import Need, Probe
from harness.result import Reason

if TYPE_CHECKING:
    from harness.intent import AdapterIntent, Intent
    from harness.trace.reader import Trace

# What these add is no change of some layer's weights, so that there is nothing to merge it into.
PROMPTS = {"prompt_tuning", "multitask_prompt_tuning", "p_tuning", "prefix_tuning", "cpt", "cartridge"}
WITHOUT_MERGING = PROMPTS | {"adaption_prompt", "poly", "xlora"}
# What a trainer's own code puts on layers is merged, if ever, by scripts of its own.
MERGED_ELSEWHERE = {"minimind-lora"}
# These begin with random values unless their options say otherwise.
NO_IDENTITY = WITHOUT_MERGING | {"fourierft", "c3a", "vblora"}
# One of LoRA's two factors is zero, and their product adds exactly nothing.
ZERO_INITS = (True, "gaussian", "eva", "mica")
# These take out of the weights what they put into the factors; LoftQ takes more, for it also quantizes.
REWRITING_INITS = ("pissa", "olora", "corda", "lora_ga", "loftq")


def starts_with_zero(adapter: AdapterIntent) -> bool:
    """Whether what the adapter adds is exactly zero before the first step."""
    return adapter.method in ("lora", *MERGED_ELSEWHERE) and adapter.init in ZERO_INITS


def rewrites_base(adapter: AdapterIntent) -> bool:
    """Whether setting up the adapter changes the weights under it, so that without it they are not the base's."""
    return str(adapter.init).lower().startswith(REWRITING_INITS)


@dataclass(frozen=True)
class _BaseOutputs(Need):
    """The logits that a process which knows no family got from the base directory."""

    base: bool = True

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        verified = trace.base_reloaded
        if verified is None:
            return "no process verified the base directory"
        return None if "outputs" in verified else "the base directory gave no logits"


@dataclass(frozen=True)
class _Identity(Probe):
    """The adapter as it was before the first step, of a kind that begins as an identity.

    Where setting it up rewrites the weights, only the base's own logits can show that nothing was changed.
    """

    probe: str = "adapter_at_start"
    base: bool = True

    def refusal(self, intent: Intent) -> Reason | None:
        adapter = intent.adapter
        if adapter is None:
            return None
        if adapter.continued:
            return Reason.ADAPTER_CONTINUED
        if adapter.method in NO_IDENTITY or adapter.init is False or str(adapter.init).lower() == "loftq":
            return Reason.NO_IDENTITY
        if rewrites_base(adapter) and intent.resized:
            return Reason.TOKENS_ADDED
        return super().refusal(intent)

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        if missing := super().missing(intent, trace):
            return missing
        probe = trace.probe("adapter_at_start")
        if probe is not None and not probe["kept"]:
            return "the values before the first step were not kept: the model is too large"
        rewritten = intent.adapter is not None and rewrites_base(intent.adapter)
        return BaseOutputs.missing(intent, trace) if rewritten else None


@dataclass(frozen=True)
class _Merging(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        none = {*WITHOUT_MERGING, *MERGED_ELSEWHERE}
        return Reason.NO_MERGING if intent.adapter and intent.adapter.method in none else None


@dataclass(frozen=True)
class _OnLayers(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        return Reason.ON_NO_LAYER if intent.adapter and intent.adapter.method in PROMPTS else None


@dataclass(frozen=True)
class _Numbers(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        adapter = intent.adapter
        return Reason.NO_NUMBERS if adapter and adapter.rank is None and not adapter.numbers else None


def _in_place(intent: Intent) -> bool:
    """Whether what trains beside an adapter is the model's own, and no copy of it."""
    own = intent.adapter is not None and intent.adapter.in_place and bool(intent.trains)
    return bool(intent.save.beside_adapter) or own


@dataclass(frozen=True)
class _BaseUnderneath(Need):
    """Without its adapter the model is the base: nothing else of it was changed."""

    def refusal(self, intent: Intent) -> Reason | None:
        if intent.adapter is None:
            return None
        if intent.adapter.bias != "none":
            return Reason.BIASES_TRAINED
        if _in_place(intent):
            return Reason.TRAINED_IN_PLACE
        if rewrites_base(intent.adapter):
            return Reason.BASE_REWRITTEN
        return Reason.TOKENS_ADDED if intent.resized else None


@dataclass(frozen=True)
class _KeptModules(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        if _in_place(intent):
            return Reason.TRAINED_IN_PLACE
        return None if intent.trains else Reason.NOTHING_KEPT


@dataclass(frozen=True)
class _AdapterSaved(Need):
    """The saved directory holds an adapter, and was listed."""

    reload: bool = True

    def refusal(self, intent: Intent) -> Reason | None:
        if intent.save.what == "nothing":
            return Reason.NOTHING_SAVED
        return None if intent.save.what == "adapter" else Reason.NO_ADAPTER_SAVED

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        return None if trace.inventory is not None else "the saved directory was not listed"


IdentityAtStart = _Identity()
Merging = _Merging()
Numbers = _Numbers()
OnLayers = _OnLayers()
BaseUnderneath = _BaseUnderneath()
BaseOutputs = _BaseOutputs()
KeptModules = _KeptModules()
AdapterSaved = _AdapterSaved()
