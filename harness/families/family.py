"""What every family offers, and the table of families.

Modules of families are imported when they are asked for, and import torch and transformers only inside functions:
listing families and collecting recipes stays fast.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from harness import stack
from harness.checkpoint.towers import Tower
from harness.intent import Intent
from harness.own_code import named
from harness.recipe import Adapter, Component, Recipe
from harness.recipe.fields import Save
from harness.refusal import Refused
from harness.trace.naming import Naming

if TYPE_CHECKING:
    import torch
    from torch import nn

    from harness.data import Sample
    from harness.families.supervision import Answer

_MINI_GEMINI = "harness.families.mini_gemini:MGM"
SHIPPED = {
    "llava-1.5-7b": "harness.families.llava:LLAVA_7B",
    "llava-1.5-13b": "harness.families.llava:LLAVA_13B",
    "minicpm-llama3-v-2.5": "harness.families.minicpm:MINICPM_LLAMA3_V_2_5",
    "minicpm-v-2": "harness.families.minicpm.v20:MINICPM_V_2",
    "minicpm-v-2.6": "harness.families.minicpm.v26:MINICPM_V_2_6",
    "minicpm-v-4.6": "harness.families.minicpm.v4:MINICPM_V_4_6",
    "minicpm-v-4.7": "harness.families.minicpm.v4:MINICPM_V_4_7",
    **{
        f"mini-gemini-{member.lower()}{end}": f"{_MINI_GEMINI}_{member}{end.upper().replace('-', '_')}"
        for member in ("2B", "7B", "8B", "13B", "8X7B", "34B")
        for end in ("", "-hd")
    },
    "omnilmm-12b": "harness.families.omnilmm:OMNILMM_12B",
    "omnilmm-12b-no-tune-clip": "harness.families.omnilmm:OMNILMM_12B_NO_TUNE_CLIP",
    "minimind-v1-small": "harness.families.minimind:MINIMIND_V1_SMALL",
    "minimind-v1": "harness.families.minimind:MINIMIND_V1",
    "minimind-v1-moe": "harness.families.minimind:MINIMIND_V1_MOE",
    "minimind-v2-small": "harness.families.minimind:MINIMIND_V2_SMALL",
    "minimind-v2": "harness.families.minimind:MINIMIND_V2",
    "minimind-v2-moe": "harness.families.minimind:MINIMIND_V2_MOE",
    "minimind-v3": "harness.families.minimind:MINIMIND_V3",
    "minimind-v3-moe": "harness.families.minimind:MINIMIND_V3_MOE",
    "minimind-3v": "harness.families.minimind:MINIMIND_3V",
    "minimind-3v-moe": "harness.families.minimind:MINIMIND_3V_MOE",
}
GROUP = "harness.families"
# What names of families begin with that the transformers library has.
LIBRARY = ("transformers:", "path:", "published:")


@dataclass
class Loaded:
    """A model with the processor that feeds it, and the directory both came from."""

    model: Any
    processor: Any
    directory: Path


@dataclass(frozen=True)
class OwnAdapter:
    """An adapter that a family's own code puts on a model, beside those of peft, what is saved of it, and the folder of
    the trainer's code that loads it, which is saved nowhere."""

    attach: Callable[[Any, Adapter], Any]
    tensors: Callable[[Any], dict[str, Any]]
    file: str
    code: Path


@dataclass(frozen=True)
class Handles:
    """The native names by which fine-tuning code reaches the parts of a model, as regular expressions on module paths.

    `layers` names each component's list of layers, one or several; `saved_with_adapter` what peft's modules_to_save is
    given; `in_projector_file` the words in parameters' names by which a first stage chooses what its file of the
    connector holds, for each component that bears one; `towers` those that may have directories of their own.
    """

    components: dict[str, str]
    layers: dict[str, str]
    own_adapters: dict[str, OwnAdapter] = field(default_factory=dict)  # by the method's name
    native_ending: str = ""  # what follows the name of a native state dict: its width, and whether it has experts
    not_in_native: str | None = None  # keys that a native state dict leaves out
    saved_with_adapter: dict[str, str | tuple[str, ...]] = field(default_factory=dict)
    in_projector_file: dict[str, tuple[str, ...]] = field(default_factory=dict)
    towers: tuple[Tower, ...] = ()
    saved_as_in_memory: bool = False  # its published form is another, which its base does not have
    features: str | None = None  # the method that makes features of pictures, where no module does; "": in no place

    def code_of(self, adapter: Adapter | None) -> str:
        """The folder of the code that loads such an adapter, if it is one of the trainer's own."""
        own = self.own_adapters.get(adapter.method) if adapter else None
        return str(own.code) if own else ""


class Family(Protocol):
    """How to build a model, feed it, and what it promises."""

    name: str
    description: str
    sizes: tuple[str, ...]
    library_modules: tuple[str, ...]  # what of transformers it imports: paid for once, in warm parents
    remote_code: bool  # whether its directories carry code files, which run only where a recipe says so
    labels_early: int  # how many places before its token a label stands: 1 where they are shifted before the model
    text_beside_images: bool  # whether one batch may hold samples with pictures and samples of text alone
    naming: Naming
    handles: Handles

    def meta_model(self, size: str) -> nn.Module:
        """The model on the meta device: every shape, no memory."""
        ...

    def write_base(self, directory: Path) -> None:
        """Write a complete tiny checkpoint directory: weights by canonical key, configuration, processor."""
        ...

    def load(self, directory: Path, dtype: torch.dtype) -> Loaded:
        """Load a model and its processor from a directory, as a user would."""
        ...

    def prompt(self, sample: Sample) -> dict[str, Any]:
        """A sample as plain data for a process that knows no family: `text`, and `images` as paths."""
        ...

    def answers(self, sample: Sample) -> list[Answer]:
        """What is learned of a sample, as text, from its turns alone."""
        ...

    def encode(self, sample: Sample, processor: Any, max_length: int) -> dict[str, Any]:
        """One sample as model inputs (input_ids and labels of shape (length,), pixel_values of (images, 3, h, w)).

        Raises Refused, naming the sample, if it cannot be encoded as it stands.
        """
        ...

    def collate(self, encoded: list[dict[str, Any]], processor: Any) -> dict[str, Any]:
        """A padded batch of encoded samples: tensors, or lists of them, by name."""
        ...

    def image_places(self, batch: dict[str, Any], processor: Any) -> torch.Tensor:
        """Where in a batch the features of pictures belong: bool of shape (batch, length)."""
        ...

    def padded(self, batch: dict[str, Any], side: str, count: int, processor: Any) -> dict[str, Any]:
        """A batch without labels, with so much more padding on a side that the intent says is possible."""
        ...

    def arguments(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The keyword arguments of a forward pass on a batch; labels only where the model computes the loss itself."""
        ...

    def loss(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """One training forward on a batch, and its loss: a scalar."""
        ...

    def generation(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The keyword arguments of `model.generate` on a batch of one sample, but for the decoding options."""
        ...

    def intent(self, recipe: Recipe) -> Intent:
        """What the recipe promises, from this family's own published tables; raises Refused where they forbid it."""
        ...

    def modes(self) -> dict[str, dict[str, Any]]:
        """The family's tuning modes: name to recipe settings, for plans."""
        ...


@runtime_checkable
class Adjusts(Protocol):
    """A family whose own fine-tuning code does more to a model than to freeze and thaw whole parts."""

    def adjust(self, model: Any, recipe: Recipe) -> None:
        """Do what the recipe means besides, and freeze again what no recipe trains. Not called beside an adapter."""
        ...


@runtime_checkable
class NeedsReleases(Protocol):
    """A family that not every supported release of the libraries can build, load or save."""

    needs: tuple[stack.Since, ...]


def names() -> tuple[str, ...]:
    """The names of all families, shipped and installed, without importing any."""
    return (*SHIPPED, *sorted(point.name for point in _installed() if point.name not in SHIPPED))


@cache
def family(name: str) -> Family:
    """The family of that name, or of `module:attribute`. Raises Refused for an unknown one."""
    target = SHIPPED.get(name) or {point.name: point.value for point in _installed()}.get(name)
    if target is None and name.startswith(LIBRARY):
        from harness.families import library

        return cast("Family", library.by_name(name))
    if target is None and ":" in name:
        return _own(name)
    if target is None:
        close = difflib.get_close_matches(name, names(), n=1)
        raise Refused(
            f"unknown family {name!r}",
            do=f"did you mean {close[0]}?" if close else f"there are {', '.join(names())}",
        )
    module, _, attribute = target.partition(":")
    try:
        found: Family = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise Refused(f"family {name!r} cannot be imported: {error}", do="mend the name module:attribute") from None
    return found


def _own(target: str) -> Family:
    """A family of somebody else's. Raises Refused for what lacks a part of one."""
    found: Family = named(target, "family")
    parts = [name for name in (*Family.__annotations__, *vars(Family)) if not name.startswith("_")]
    if lacking := [name for name in parts if not hasattr(found, name)]:
        what = f"family {target!r} is no family: it has no {', '.join(lacking)}"
        raise Refused(what, do="see harness.families.family.Family; name the object, not its class")
    return found


def family_of(recipe: Recipe) -> Family:
    """The family of a recipe, under the template that the recipe names. Raises Refused for one it does not take."""
    chosen = family(recipe.family)
    if recipe.data.template is None:
        return chosen
    speaking = getattr(chosen, "speaking", None)
    if speaking is None:
        what = f"data.template {recipe.data.template}: {recipe.family} has one template, its own"
        raise Refused(what, do="leave data.template out")
    found: Family = speaking(recipe)
    return found


def components_of(family: Family, path: str) -> Component:
    """The component of the parameter or module at a path."""
    found: Any = family.naming.component(family.naming.canonical(path))
    return found  # type: ignore[no-any-return]


def reads_pictures(family: Family) -> bool:
    """Whether the family has parts that see: those of text alone have neither a tower nor a connector."""
    return any(name in family.handles.components for name in ("vision", "vision_aux", "connector"))


def takes_text_alone(family: Family) -> bool:
    """Whether a sample may have no picture: there are models whose forward pass asks for one."""
    return not getattr(family, "pictures_only", "")


def has_processor(family: Family, recipe: Recipe) -> bool:
    """Whether the family is published with a processor of its own, which must then come back: others have a tokenizer
    and, if they see, an image processor, and no class that holds both."""
    return family.intent(recipe.model_copy(update={"save": Save()})).save.processor_class is not None


@cache
def _installed() -> tuple[Any, ...]:
    return tuple(entry_points(group=GROUP))
