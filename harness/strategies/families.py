"""What the strategies must know of a family to draw recipes that it can be trained by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from harness.families import check_possible, family
from harness.families.family import reads_pictures
from harness.recipe import Recipe
from harness.refusal import Refused

if TYPE_CHECKING:
    from harness.families.family import Family, Handles

RECOMPUTED = (True, "reentrant")

# One of each kind that is trained differently: remote code or not, one tower or two, experts, text alone.
FAMILIES = (
    "llava-1.5-7b",
    "minicpm-llama3-v-2.5",
    "minicpm-v-2",
    "minicpm-v-2.6",
    "minicpm-v-4.6",
    "mini-gemini-2b",
    "mini-gemini-8x7b",
    "omnilmm-12b",
    "minimind-v1",
    "minimind-v3",
    "minimind-v3-moe",
    "minimind-3v",
)

# What saving needs there: the library's own loader of this processor asks for torchvision, for videos.
SAVED: dict[str, dict[str, Any]] = {"minicpm-v-4.6": {"processor_loader": "harness.stack:pictures_alone"}}


@dataclass(frozen=True)
class FamilyFacts:
    """A family's name and parts, what its published modes give an adapter as targets, and what a batch may hold."""

    name: str
    remote_code: bool
    handles: Handles
    targets: tuple[Any, ...]
    sees: bool
    mixes: bool
    prompts: bool  # whether prompts can be put before what it is given
    tied: bool  # whether two of its weights are one: a copy that peft keeps of one of them is another
    trainable: tuple[str, ...]  # components that a published mode trains; a tied head is the embeddings
    recomputes: tuple[Any, ...]  # values of checkpointing that it takes whatever trains
    recomputes_with_embeddings: tuple[Any, ...]  # and where its embeddings train, too

    @property
    def saved(self) -> dict[str, Any]:
        """Settings of saving that the family cannot do without."""
        return SAVED.get(self.name, {})

    @property
    def components(self) -> tuple[str, ...]:
        """Those that a recipe may tune, the simplest first."""
        first = [one for one in ("connector", "language") if one in self.trainable]
        return (*first, *(one for one in self.trainable if one not in first))


@cache
def facts_of(name: str) -> FamilyFacts:
    """The facts of a family, from its own tables."""
    known = family(name)
    first = "language"
    modes = [_recipe(known, **mode) for mode in known.modes().values()]
    tuned = {part.component for mode in modes for part in mode.tune}
    whole = dict.fromkeys(known.handles.components, "all")
    tied = bool(known.intent(_recipe(known, tune=whole)).ties)
    return FamilyFacts(
        name,
        known.remote_code,
        known.handles,
        tuple(dict.fromkeys(mode.lora.targets for mode in modes if mode.lora)),
        reads_pictures(known),
        known.text_beside_images,
        _takes(known, adapter={"method": "prompt_tuning", "options": {"task_type": "CAUSAL_LM"}}),
        tied,
        tuple(one for one in known.handles.components if one in tuned and not (tied and one == "lm_head")),
        tuple(one for one in RECOMPUTED if _takes(known, tune={first: "all"}, checkpointing=one)),
        tuple(one for one in RECOMPUTED if _takes(known, tune=whole, checkpointing=one)),
    )


def _takes(known: Family, **settings: Any) -> bool:
    """Whether the family itself lets a recipe with these settings pass: it knows best what its code cannot do."""
    try:
        check_possible(_recipe(known, **settings))
    except Refused:
        return False
    return True


def _recipe(known: Family, **settings: Any) -> Recipe:
    mix = ["image"] if reads_pictures(known) else ["text"]
    asked = {"family": known.name, "trust_remote_code": known.remote_code, "data": {"mix": mix}}
    return Recipe.model_validate({**asked, **settings})
