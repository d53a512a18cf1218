"""What the strategies must know of a family to draw recipes that it can be trained by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from harness.families import check_possible, family
from harness.families.family import reads_pictures
from harness.recipe import Recipe
from harness.recipe.components import UNIONS
from harness.refusal import Refused
from harness.strategies.adapters import PROMPTED, PROMPTS, named_by

if TYPE_CHECKING:
    from collections.abc import Sequence

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

# What saving needs there: the library's own loader of this processor asks for torchvision, for videos; and the ids of
# OmniLMM's image tokens are in no configuration, so that whoever loads it must set them again.
SAVED: dict[str, dict[str, Any]] = {
    "minicpm-v-4.6": {"processor_loader": "harness.stack:pictures_alone"},
    "omnilmm-12b": {"loader": "harness.reloading.own:with_image_tokens"},
}
# MiniMind-V publishes no adapter. Its language layers are MiniMind's, whose published lists name them as well.
ADAPTED_AS = {"minimind-3v": "minimind-v3"}
# Some of whose layers have linear attention, with modules of other names.
HYBRID = ("minicpm-v-4.6", "minicpm-v-4.7")
# What towers call projections of their attention: one for all three where the code is timm's. EVA reads the weights of
# that one by itself, and passes over an adapter around them: nothing would train.
TOWER_PROJECTIONS = "(q_proj|v_proj)"
OTHER_PROJECTIONS = {"minicpm-v-2": "qkv", "omnilmm-12b": "proj"}
# Whose forward takes anything by name, so that the Trainer tells it how many tokens a step learns and leaves dividing
# to it; and it does not divide. `accumulation_divides` says so of each such recipe.
TAKES_ITS_OWN_MEAN = ("omnilmm-12b", "minimind-v3", "minimind-v3-moe", "minimind-3v")


@dataclass(frozen=True)
class FamilyFacts:
    """A family's name and parts, what its published modes give an adapter as targets, and what it takes."""

    name: str
    remote_code: bool
    handles: Handles
    targets: tuple[Any, ...]
    sees: bool
    mixes: bool
    prompts: tuple[str, ...]  # methods that put prompts before what it is given
    tied: bool  # whether two of its weights are one: a copy that peft keeps of one of them is another
    trainable: tuple[str, ...]  # components that a published mode trains; a tied head is the embeddings
    recomputes: tuple[Any, ...]  # values of checkpointing that it takes whatever trains
    recomputes_with_embeddings: tuple[Any, ...]  # and where its embeddings train, too
    attention: bool  # whether it can be told how to compute attention
    templates: tuple[str, ...]  # names of conversation templates that it takes
    regularised: bool  # whether AdaLoRA finds a loss in what the model returns, to add its own to
    evenly_loaded: bool  # whether a loss is added for that, of each micro-batch by itself
    experts: bool  # whether tokens go to experts: each must be met by some, and rounding alone chooses others

    @property
    def saved(self) -> dict[str, Any]:
        """Settings of saving that the family cannot do without."""
        return SAVED.get(self.name, {})

    @property
    def components(self) -> tuple[str, ...]:
        """Those that a recipe may tune, the simplest first."""
        first = [one for one in ("connector", "language") if one in self.trainable]
        return (*first, *(one for one in self.trainable if one not in first))

    def only(self, components: Sequence[str] | None) -> FamilyFacts:
        """The same of so many components alone; those of the language layers carry the published adapters."""
        if components is None:
            return self
        there = tuple(one for one in self.trainable if one in components)
        if not there:
            known = f"{self.name} has {', '.join(self.trainable)}"
            raise Refused(f"none of {', '.join(components)} may train in {self.name}", do=f"name others: {known}")
        return replace(self, trainable=there, targets=self.targets if "language" in components else ())

    @property
    def kept(self) -> tuple[str, ...]:
        """Those of which peft keeps a copy beside an adapter: never of layers, which are called one by one, nor of
        embeddings that are the head, too, which would be two."""
        apart = {"language", *(["embeddings"] if self.tied else [])}
        return tuple(one for one in self.handles.saved_with_adapter if one in self.trainable and one not in apart)

    @property
    def copied(self) -> str:
        """What the connector is called where it is one module: peft may be told to keep a copy of it by that name."""
        name = self.handles.saved_with_adapter.get("connector", "")
        return name if isinstance(name, str) and "." not in name and "connector" in self.trainable else ""

    def trains_all_of(self, union: str) -> bool:
        """Whether every component that the union brings along here may train; a tied head does with its embeddings."""
        there = [one for one in UNIONS[union] if one in self.handles.components]
        tied = {"lm_head"} if self.tied and "embeddings" in self.trainable else set()
        return bool(there) and set(there) <= {*self.trainable, *tied}

    @property
    def all_but_language(self) -> str:
        """An expression for the paths of all that lies outside of the language layers."""
        return rf"(?!{_within(self.handles.layers['language'])}).*"

    @property
    def layers_by_number(self) -> bool:
        """Whether peft finds the number of a language layer in its path, for it wants a name before the list's own; and
        whether each has the modules that others have."""
        return "." in self.handles.layers["language"] and self.name not in HYBRID

    def averages(self, engine: str) -> list[str]:
        """Over what the loss of a step is a mean, where this engine trains it."""
        return ["micro-batch", *(() if engine == "trainer" and self.name in TAKES_ITS_OWN_MEAN else ("token",))]

    @property
    def norms(self) -> str:
        """An expression for the norms of the language layers."""
        return rf"{_within(self.handles.layers['language'])}\.\d+\..*norm"

    @property
    def tower_targets(self) -> str:
        """An expression for projections of the tower's attention; nothing where it does not train."""
        if "vision" not in self.trainable or "vision" not in self.handles.layers:
            return ""
        projections = OTHER_PROJECTIONS.get(self.name, TOWER_PROJECTIONS)
        return rf"{_within(self.handles.layers['vision'])}\.\d+\..*\.{projections}"

    @property
    def adalora_options(self) -> dict[str, Any]:
        return {} if self.regularised else {"orth_reg_weight": 0}


def _within(layers: str) -> str:
    """The same expression for a beginning of a path, not for the whole."""
    return layers.removesuffix("$")


@cache
def facts_of(name: str) -> FamilyFacts:
    """The facts of a family, from its own tables."""
    known = family(name)
    first = "language"
    modes = [_recipe(known, **mode) for mode in known.modes().values()]
    tuned = {part.component for mode in modes for part in mode.tune}
    whole = dict.fromkeys(known.handles.components, "all")
    promised = known.intent(_recipe(known, tune=whole))
    tied = bool(promised.ties)
    decisive = {"init_r": 6, "target_r": 3, "total_step": 4, "tfinal": 1}
    return FamilyFacts(
        name,
        known.remote_code,
        known.handles,
        tuple(dict.fromkeys(mode.lora.targets for mode in modes if mode.lora)) or _as_another(known),
        reads_pictures(known),
        known.text_beside_images,
        tuple(one for one in PROMPTS if _takes(known, adapter={"method": one, "options": PROMPTED})),
        tied,
        tuple(one for one in known.handles.components if one in tuned and not (tied and one == "lm_head")),
        tuple(one for one in RECOMPUTED if _takes(known, tune={first: "all"}, checkpointing=one)),
        tuple(one for one in RECOMPUTED if _takes(known, tune=whole, checkpointing=one)),
        _takes(known, tune={first: "all"}, attention="eager"),
        tuple(getattr(known, "templates", ())),
        _takes(known, adapter={"method": "adalora", "options": decisive}),
        bool(promised.mechanisms.auxiliary_loss),
        any(".experts." in path for path, _ in known.meta_model("tiny").named_parameters()),
    )


def _as_another(known: Family) -> tuple[str, ...]:
    """Targets that another family publishes for the same layers, as expressions that meet these layers alone."""
    if known.name not in ADAPTED_AS:
        return ()
    within = _within(known.handles.layers["language"])
    listed = (named_by(targets) for targets in facts_of(ADAPTED_AS[known.name]).targets)
    return tuple(rf"{within}\.\d+\..*\.({'|'.join(names)})" for names in listed)


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
