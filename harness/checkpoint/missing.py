"""What a base directory has and a save made from it lacks, and what comes of that."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from harness.checkpoint.files import TRAINED
from harness.checkpoint.json_files import CONFIG, entries
from harness.checkpoint.roles import (
    ADAPTER_CONFIGURATION,
    ADAPTER_WEIGHTS,
    BESIDE_ADAPTER,
    CHAT_TEMPLATE,
    CODE,
    CONFIGURATION,
    GENERATION,
    IMAGE_PROCESSOR,
    INDEX,
    ORDER,
    PROCESSOR,
    PROJECTOR_WEIGHTS,
    SPECIAL_TOKENS,
    TOKENIZER,
    TOKENIZER_CONFIGURATION,
    WEIGHTS,
    is_native,
)

Played = Mapping[str, Collection[str]]

PREPROCESSING = (TOKENIZER, TOKENIZER_CONFIGURATION, SPECIAL_TOKENS, CHAT_TEMPLATE, PROCESSOR, IMAGE_PROCESSOR)
_OF_THE_BASE: Mapping[str, tuple[str, ...]] = {
    "full": (CONFIGURATION, GENERATION, WEIGHTS, INDEX, CODE, *PREPROCESSING),
    "partial": PREPROCESSING,
    "projector": PREPROCESSING,
    "adapter": PREPROCESSING,
    "adapter and trainables": PREPROCESSING,
    "native": (),
    "native adapter": (),
    "processing": PREPROCESSING,
}
_OF_THE_SAVE: Mapping[str, tuple[str, ...]] = {
    "full": (),
    "partial": (WEIGHTS,),
    "projector": (CONFIGURATION, PROJECTOR_WEIGHTS),
    "adapter": (ADAPTER_CONFIGURATION, ADAPTER_WEIGHTS),
    "adapter and trainables": (ADAPTER_CONFIGURATION, ADAPTER_WEIGHTS, BESIDE_ADAPTER),
    "native": (WEIGHTS,),
    "native adapter": (WEIGHTS,),
    "processing": (),
}

_CONSEQUENCES: Mapping[str, str] = {
    CONFIGURATION: "from_pretrained cannot tell which model it is",
    GENERATION: "generate will stop and sample by defaults, not as the base does",
    WEIGHTS: "there is nothing to load",
    INDEX: "from_pretrained will not find the shards",
    ADAPTER_CONFIGURATION: "peft cannot tell which modules the adapter is for",
    ADAPTER_WEIGHTS: "peft has nothing to load",
    PROJECTOR_WEIGHTS: "the connector will be the base's, which was never trained",
    BESIDE_ADAPTER: "what trained beside the adapter will be the base's",
    TOKENIZER: "AutoTokenizer will find no vocabulary",
    TOKENIZER_CONFIGURATION: "AutoTokenizer cannot tell which tokenizer it is",
    SPECIAL_TOKENS: "the tokenizer will not know where a text begins and ends",
    CHAT_TEMPLATE: "apply_chat_template will refuse every conversation",
    IMAGE_PROCESSOR: "AutoImageProcessor will find no configuration, and images cannot be encoded",
    CODE: "the classes of the model's own cannot be imported",
}


def kind_of(played: Played) -> str:
    """What was saved, by its roles: full, partial or projector (to be laid over a base), adapter or native."""
    if ADAPTER_CONFIGURATION in played or ADAPTER_WEIGHTS in played:
        return "adapter"
    weights = played.get(WEIGHTS, ())
    if PROJECTOR_WEIGHTS in played and not weights:
        return "projector"
    if TRAINED in weights:
        return "partial"
    return "native" if weights and CONFIGURATION not in played and all(map(is_native, weights)) else "full"


def missing_roles(base: Played, saved: Played, what: str) -> list[str]:
    """The roles that a save of this kind (full, partial, adapter, native) must have and lacks, in order.

    What the base does not have is not asked for, but for the weights that were to be saved.
    """
    asked = {role for role in _OF_THE_BASE[what] if role in base} | set(_OF_THE_SAVE[what])
    if len(saved.get(WEIGHTS, ())) < 2:
        asked.discard(INDEX)  # a model in one file needs none
    return [role for role in ORDER if role in asked and not saved.get(role)]


def consequence(role: str, directory: Path, saved: Played) -> str:
    """What comes of it that a directory lacks a role."""
    if role != PROCESSOR:
        return _CONSEQUENCES[role]
    own_code = bool(entries(directory / CONFIG).get("auto_map")) or CONFIGURATION not in saved
    if TOKENIZER_CONFIGURATION in saved and own_code:
        # transformers looks for a processor of its own by the model's type, and finds none.
        return "AutoProcessor will fall back to the tokenizer"
    return "AutoProcessor will not find its settings"
