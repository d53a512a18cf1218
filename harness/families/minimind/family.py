"""MiniMind and MiniMind-V as families: built full and tiny, written, loaded, fed, and what they promise."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.families.family import Handles, Loaded
from harness.families.fed import Batches, FedConversations
from harness.families.minimind import modes, native_lora, processing, refusals
from harness.families.minimind.batches import ChatBatches
from harness.families.minimind.dimensions import Dimensions, Vision
from harness.families.minimind.generations import Generation
from harness.families.minimind.tokens import IMAGE
from harness.families.promises import Tables, intent_from
from harness.families.weights import write_sharded
from harness.intent import Intent
from harness.recipe import Recipe
from harness.trace.naming import Naming

if TYPE_CHECKING:
    import torch
    from torch import nn

    from harness.families.minimind.names import Names


@dataclass(frozen=True)
class MiniMind(FedConversations):
    """A MiniMind of one generation. With `vision` sizes, full and tiny, it is a MiniMind-V."""

    name: str
    made: Generation
    full: Dimensions
    tiny: Dimensions
    vision: tuple[Vision, Vision] | None = None
    description: str = ""
    sizes: tuple[str, ...] = ("full", "tiny")
    library_modules: tuple[str, ...] = (
        "transformers.modeling_outputs",
        "transformers.generation",
        "transformers.models.auto.modeling_auto",
        "transformers.tokenization_utils_fast",
        "transformers.models.siglip.modeling_siglip",
        "transformers.models.siglip.image_processing_siglip",
        "transformers.models.siglip.image_processing_pil_siglip",
    )
    remote_code: bool = True
    text_beside_images: bool = False
    naming: Naming = field(init=False)
    handles: Handles = field(init=False)
    labels_early: int = field(init=False)

    def __post_init__(self) -> None:
        tables = self._tables(self.full, 0)
        for name, value in (
            ("naming", Naming(tables.renames, tables.components)),
            ("handles", self._handles()),
            ("labels_early", self.made.labels_early),
        ):
            object.__setattr__(self, name, value)

    def _handles(self) -> Handles:
        ending = self._native_ending()
        own = {native_lora.METHOD: native_lora.adapter(f"lora{ending}.pth")}
        return replace(self.names.handles, native_ending=ending, own_adapters=own)

    def _native_ending(self) -> str:
        """Of the size that trains: the hidden size, and whether there are experts."""
        return f"_{self.tiny.hidden}{'_moe' if self.tiny.experts else ''}"

    @property
    def fed_by(self) -> Batches:
        tokens = self.vision[1].tokens if self.vision else 0
        return ChatBatches(self.made.chat, bool(self.made.labels_early), tokens)

    @property
    def names(self) -> Names:
        return self.made.names

    def dimensions(self, size: str) -> Dimensions:
        return self.full if size == "full" else self.tiny

    def vision_of(self, size: str) -> Vision | None:
        return self.vision[0 if size == "full" else 1] if self.vision else None

    def tables(self, size: str) -> Tables:
        seeing = self.vision_of(size)
        return self._tables(self.dimensions(size), seeing.layers if seeing else 0)

    def _tables(self, d: Dimensions, vision_layers: int) -> Tables:
        added = bool(d.experts) and self.made.number > 1  # the first generation computed it and never added it
        tables = self.names.tables(d, self.made.model_class, vision_layers, added)
        single = (self.made.chat.begin, self.made.chat.end, *((IMAGE,) if self.vision else ()))
        return replace(tables, native_ending=self._native_ending(), single_tokens=single)

    def configuration(self, size: str) -> Any:
        return self.made.configuration(self.dimensions(size), self.vision_of(size))

    def model_class(self) -> Any:
        """The class of this generation, from its code files."""
        module = self.made.code[-1].removesuffix(".py")
        return getattr(importlib.import_module(f"harness.families.minimind.code_files.{module}"), self.made.model_class)

    def meta_model(self, size: str) -> nn.Module:
        import torch

        with torch.device("meta"):
            model: nn.Module = self.model_class()(self.configuration(size))
        return model

    def write_base(self, directory: Path) -> None:
        write_sharded(directory, self._shapes())
        self.write_beside_weights(directory)

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """What a checkpoint holds, by key: of a shared tensor its first name."""
        state = self.meta_model("tiny").state_dict()
        head = self.names.tied[1]
        return {self.naming.canonical(key): tuple(value.shape) for key, value in state.items() if key != head}

    def write_beside_weights(self, directory: Path) -> None:
        """Configuration, code, tokenizer and, for MiniMind-V, the settings of its pictures."""
        from transformers import GenerationConfig

        config = self.configuration("tiny")
        config.architectures = [self.made.model_class]
        config.auto_map = dict(self.made.auto_map)
        config.save_pretrained(directory)
        GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=0, use_cache=False).save_pretrained(directory)
        processing.write_code(directory, (*self.made.code, native_lora.CODE))
        tokenizer = processing.tokenizer(self.made.chat, self.tiny.vocabulary)
        seeing = self.vision_of("tiny")
        images = processing.image_processor(seeing) if seeing else None
        processing.Feeder(tokenizer, images).save_pretrained(directory)

    def load(self, directory: Path, dtype: torch.dtype) -> Loaded:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from harness import stack

        trusted = {"trust_remote_code": True}
        model = stack.aligned(AutoModelForCausalLM.from_pretrained(directory, **stack.dtype_argument(dtype), **trusted))
        return Loaded(model, self._feeder(directory, AutoTokenizer.from_pretrained(directory, **trusted)), directory)

    def _feeder(self, directory: Path, tokenizer: Any) -> processing.Feeder:
        from harness import stack

        if not self.vision:
            return processing.Feeder(tokenizer)
        images = stack.pil_image_processor("SiglipImageProcessor").from_pretrained(directory)
        return processing.Feeder(tokenizer, images)

    def arguments(self, batch: dict[str, Any]) -> dict[str, Any]:
        return self.made.arguments(batch)

    def loss(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        return self.made.loss(model, batch)

    def generation(self, batch: dict[str, Any]) -> dict[str, Any]:
        return self.made.generation(batch)

    def intent(self, recipe: Recipe) -> Intent:
        refusals.refuse(recipe, self.made.number, self.dimensions(recipe.size), bool(self.vision))
        intent = intent_from(recipe, self.tables(recipe.size))
        file = self.handles.own_adapters[native_lora.METHOD].file
        return native_lora.promised(intent, self.dimensions(recipe.size), self.names, file)

    def modes(self) -> dict[str, dict[str, Any]]:
        if self.vision:
            return modes.of_pictures(self.full.layers)
        queries, outputs, keys, _ = self.names.projections
        found = modes.of_text((queries, outputs), (queries, keys))
        if self.made.number == 1 and self.full.experts:
            return {name: {**settings, "precision": "fp16"} for name, settings in found.items()}
        return found
