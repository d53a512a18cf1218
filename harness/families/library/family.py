"""Any type of model that the transformers library has for pictures and text, as a family: nothing in it is written for
one of them."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import stack
from harness.families.family import Handles, Loaded
from harness.families.fed import Batches, FedConversations, TakesBatchesAsTheyAre
from harness.families.library import batches, processors
from harness.families.library.components import Parts, parts_of, widest
from harness.families.library.keys import Renames, renamed, renames_of
from harness.families.library.models import Blueprint
from harness.families.library.reach import unreached
from harness.families.library.targets import linear_names
from harness.families.library.tokens import CLOSE, OPEN
from harness.families.library.writing import filled_model, write_directory
from harness.families.promises import Tables, intent_from
from harness.intent import Intent
from harness.recipe import Component, Recipe
from harness.stack_keys import as_published, saved_keys
from harness.trace.naming import Naming

if TYPE_CHECKING:
    import torch
    from torch import nn


FEATURES = ("get_image_features", "get_video_features")  # as the library calls it, where it has a method for it


@dataclass(frozen=True)
class Sized:
    """What is known of one size from its model on meta. Of tiny ones the processor adds ids and rows, nothing here."""

    model: Any
    parts: Parts
    fixed: tuple[str, ...]
    ties: tuple[tuple[str, ...], ...]
    linear: tuple[str, ...]
    unreached: dict[str, str]


@dataclass(eq=False)
class LibraryFamily(TakesBatchesAsTheyAre, FedConversations):
    """A type of model, or the model of one configuration."""

    name: str
    blueprint: Blueprint
    description: str = ""
    sizes: tuple[str, ...] = ("full", "tiny")
    labels_early: int = 0

    @cached_property
    def processor(self) -> Any:
        made = self.blueprint
        return processors.build(made.model_type, made.classes, made.override, made.small_configuration(), made.code)

    @cached_property
    def picture(self) -> str:
        """What stands for a picture in a text."""
        said = self.blueprint.override.picture
        return said if said is not None else processors.picture_of(self.processor)

    @cached_property
    def place(self) -> int | None:
        """The token in whose places features of pictures go."""
        return processors.place_of(self.processor, self.picture, self.blueprint.override.call)

    @cached_property
    def fed_by(self) -> Batches:
        typed = "mm_token_type_ids" in inspect.signature(self.blueprint.model_class.forward).parameters
        places = () if self.place is None else (self.place,)
        said = self.blueprint.override
        limits = (said.pictures_only, said.one_picture, said.shown, said.nested)
        return batches.LibraryBatches(self.picture, places, self.name, *limits, typed, said.call)

    @cached_property
    def without_cache(self) -> dict[str, bool]:
        """What a forward pass is told so that it keeps no cache; nothing where it knows none."""
        known = inspect.signature(self.blueprint.model_class.forward).parameters
        told = "use_cache" in known or any(one.kind is one.VAR_KEYWORD for one in known.values())
        return {"use_cache": False} if told else {}

    def loss(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        found: torch.Tensor = model(**batch, **self.without_cache).loss
        return found

    @property
    def library_modules(self) -> tuple[str, ...]:
        auto = tuple(f"transformers.models.auto.{name}_auto" for name in ("modeling", "processing", "tokenization"))
        if self.brings_code:
            return auto
        chosen = processors.needed(self.blueprint.model_type, self.blueprint.classes, self.blueprint.override)
        kinds = (self.blueprint.model_class, chosen.processor, *chosen.parts.values())
        return (*dict.fromkeys(kind.__module__ for kind in kinds), *auto)

    @property
    def brings_code(self) -> bool:
        """Whether the code of somebody else runs as soon as anything of the family is asked for."""
        return self.blueprint.code is not None

    @property
    def remote_code(self) -> bool:
        return self.brings_code

    @property
    def pictures_only(self) -> str:
        """Why every sample must have a picture, empty where it need not."""
        return self.blueprint.override.pictures_only

    @property
    def text_beside_images(self) -> bool:
        return False

    @cached_property
    def tiny(self) -> Sized:
        return self._sized(self.blueprint.outline())

    @cached_property
    def full(self) -> Sized:
        return self._sized(self.blueprint.configuration())

    def of_size(self, size: str) -> Sized:
        return self.full if size == "full" else self.tiny

    def _sized(self, config: Any) -> Sized:
        model = as_published(self.blueprint.on_meta(config))
        parts = parts_of(model)
        frozen = (path for path, parameter in model.named_parameters() if not parameter.requires_grad)
        fixed = tuple(frozen) if stack.keeps_frozen_on_loading() else ()
        linear = linear_names(model, parts.prefixes("language"))
        return Sized(model, parts, fixed, _ties(model), linear, unreached(parts, config, self.blueprint.override))

    def _canonical_keys(self, sized: Sized) -> list[str]:
        """The keys of what no gradient reaches, as regular expressions: whole modules where that is all of them."""
        paths = [path for path, _ in sized.model.named_parameters()]
        one = re.compile("|".join(sized.unreached) or "(?!)")
        whole = widest([path for path in paths if one.match(path)], paths)
        return [rf"{re.escape(renamed(path, self.renames))}(?:\.|$)" for path in whole]

    @cached_property
    def saved_keys(self) -> dict[str, str] | None:
        """The key of each path, where the library saves each tensor as it lies in memory under one name."""
        found = saved_keys(self.tiny.model)
        return found if found and renames_of(found) is not None else None

    @cached_property
    def renames(self) -> Renames:
        return (renames_of(self.saved_keys) or ()) if self.saved_keys else ()

    @cached_property
    def naming(self) -> Naming:
        parts = self.tiny.parts
        rules = [
            (pattern, component)
            for component in parts.components
            for pattern in self._canonical_patterns(parts, component)
        ]
        return Naming(self.renames, rules)

    def _canonical_patterns(self, parts: Parts, component: Component) -> list[str]:
        inside = dict.fromkeys(renamed(path, self.renames) for path in parts.owned[component])
        bare = dict.fromkeys(renamed(path, self.renames) for path in parts.bare[component])
        return [*(rf"{re.escape(path)}\." for path in inside), *(rf"{re.escape(path)}$" for path in bare)]

    @cached_property
    def handles(self) -> Handles:
        parts = self.tiny.parts
        beside = [name for name in parts.components if name != "language"]
        return Handles(
            components={str(name): pattern for name, pattern in parts.patterns.items()},
            layers={name: rf"{re.escape(path)}$" for name, path in parts.layers.items()},
            saved_with_adapter={
                name: parts.owned[name] for name in beside if parts.owned[name] and not parts.bare[name]
            },
            saved_as_in_memory=self.saved_keys is None,
            features="" if self.blueprint.override.elsewhere else self._features,
            in_projector_file={"connector": parts.owned["connector"]} if parts.owned.get("connector") else {},
        )

    @property
    def _features(self) -> str | None:
        kinds = {type(module) for module in self.tiny.model.modules()}
        return next((name for name in FEATURES if any(hasattr(kind, name) for kind in kinds)), None)

    def tables(self, size: str) -> Tables:
        sized = self.of_size(size)
        parts = sized.parts
        layers: dict[str, str] = {
            name: rf"{re.escape(renamed(f'{path}.0', self.renames).removesuffix('.0'))}\.{{layer}}\."
            for name, path in parts.layers.items()
        }
        return Tables(
            blank_for_text=False,
            components=tuple((pattern, name) for pattern, name in self.naming.components),
            renames=self.renames,
            layers=layers,
            depth={str(name): depth for name, depth in parts.depth.items()},
            out_of_reach=tuple(self._canonical_keys(sized)),
            fixed=tuple(rf"{re.escape(renamed(path, self.renames))}$" for path in sized.fixed),
            ties=tuple(tuple(renamed(path, self.renames) for path in tie) for tie in sized.ties),
            model_class=self.blueprint.classes.model,
            processor_class=self.blueprint.processor_class,
            single_tokens=(OPEN, CLOSE),
            padding=self.blueprint.override.padding,
            features_in_place=not self.blueprint.override.elsewhere,
        )

    def meta_model(self, size: str) -> nn.Module:
        if size == "full":
            return self.full.model  # type: ignore[no-any-return]
        return self.blueprint.on_meta(self.blueprint.tiny_configuration(self.processor, self.place))

    def write_base(self, directory: Path) -> None:
        config = self.blueprint.tiny_configuration(self.processor, self.place)
        centres = self.blueprint.override.centres
        model = filled_model(self.blueprint.model_class, config, centres, self.naming.canonical)
        write_directory(directory, model, self.processor, as_in_memory=self.saved_keys is None)

    def load(self, directory: Path, dtype: torch.dtype) -> Loaded:
        from transformers import AutoProcessor

        trusted = self.brings_code
        kind = stack.auto_class(directory, trusted)  # the class of the type may be another type's, with its settings
        model = kind.from_pretrained(directory, trust_remote_code=trusted, **stack.dtype_argument(dtype))
        return Loaded(model, AutoProcessor.from_pretrained(directory, trust_remote_code=trusted), directory)

    def padded(self, batch: dict[str, Any], side: str, count: int, processor: Any) -> dict[str, Any]:
        return batches.padded(batch, side, count, processor.tokenizer.pad_token_id)

    def intent(self, recipe: Recipe) -> Intent:
        return intent_from(recipe, self.tables(recipe.size))

    def modes(self) -> dict[str, dict[str, Any]]:
        """Full tuning, all but what sees, and LoRA on the linear layers of the language model, by name."""
        known = self.handles.components
        seen = [name for name in known if name not in ("vision", "vision_aux", "audio")]
        found: dict[str, dict[str, Any]] = {"full": {"tune": ["all"]}}
        if len(seen) < len(known):
            found["vision-frozen"] = {"tune": seen}
        if self.tiny.linear:
            found["lora"] = {"lora": {"rank": 8, "targets": self.lora_targets()}}
        return found

    def lora_targets(self) -> str:
        inside = "|".join(re.escape(path) for path in self.tiny.parts.owned["language"])
        names = [name for name in self.tiny.linear if not self._means_a_tensor(name)]
        left_out = "".join(rf"(?!.*(?:{pattern}))" for pattern in self.blueprint.override.not_adapted)
        return rf"{left_out}(?:{inside})\.(?:.*\.)?(?:{'|'.join(names)})"

    def _means_a_tensor(self, name: str) -> bool:
        """Whether peft takes the name of a layer for that of a tensor of experts."""
        try:
            return bool(stack.lora_targets(self.tiny.model, [name], 8).tensors)
        except ValueError:  # it takes the name only together with others
            return True


def _ties(model: Any) -> tuple[tuple[str, ...], ...]:
    """Groups of paths that share one parameter, the one that is saved first."""
    groups: dict[int, list[str]] = {}
    for path, parameter in model.named_parameters(remove_duplicate=False):
        groups.setdefault(id(parameter), []).append(path)
    return tuple(tuple(paths) for paths in groups.values() if len(paths) > 1)
