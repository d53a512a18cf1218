"""MiniCPM-Llama3-V 2.5 as a family: built full and tiny, written, loaded, fed, and what it promises.

The others that come with code differ from it in what its methods give.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from harness.families.family import Handles, Loaded
from harness.families.fed import Batches, FedConversations
from harness.families.minicpm import modes, names, processing, refusals, tokens
from harness.families.minicpm.batches import MiniCPMBatches
from harness.families.minicpm.configuration import configuration
from harness.families.minicpm.dimensions import PUBLISHED, TINY
from harness.families.minicpm.templates import LLAMA3
from harness.families.promises import Tables, intent_from
from harness.families.supervision import IGNORED_LABEL
from harness.intent import Intent
from harness.recipe import Recipe
from harness.trace.naming import Naming

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class MiniCPM(FedConversations):
    """A MiniCPM-V whose code comes in its directory: 2.5, and what the others share with it."""

    name: str
    full: Any
    description: str = ""
    sizes: tuple[str, ...] = ("full", "tiny")
    library_modules: tuple[str, ...] = (
        "transformers.models.llama.modeling_llama",
        "transformers.models.idefics2.modeling_idefics2",
        "transformers.models.auto.modeling_auto",
        "transformers.models.auto.processing_auto",
        "transformers.image_processing_utils",
        "transformers.tokenization_utils_fast",
    )
    remote_code: bool = True
    labels_early: int = 1
    text_beside_images: bool = False
    naming: ClassVar[Naming] = Naming((), names.COMPONENTS)
    handles: ClassVar[Handles] = names.HANDLES
    fed_by: ClassVar[Batches] = MiniCPMBatches()
    llm_type: ClassVar[str] = LLAMA3.name
    tiny: ClassVar[Any] = TINY
    model_code: ClassVar[str] = "harness.families.minicpm.code_files.modeling_minicpmv"
    rules: ClassVar[tuple[Callable[[Recipe], None], ...]] = refusals.OF_2_5

    def speaking(self, recipe: Recipe) -> MiniCPM:
        """The family itself, where the recipe names the script's llm_type for it."""
        refusals.refuse_another_llm_type(recipe, self.llm_type)
        return self

    def dimensions(self, size: str) -> Any:
        return self.full if size == "full" else self.tiny

    def configuration(self, d: Any) -> Any:
        """The model's configuration at some sizes."""
        return configuration(d)

    def tables(self, d: Any) -> Tables:
        """What is published of some sizes."""
        return names.tables(d)

    def special_ids(self) -> dict[str, Any]:
        """What the tiny model's generation configuration says of tokens."""
        ids = tokens.ids(TINY)
        ends = [ids[tokens.END], ids[tokens.TURN_END]]
        return {"bos_token_id": ids[tokens.BEGIN], "eos_token_id": ends, "pad_token_id": ids[tokens.PAD]}

    def feeding_parts(self) -> tuple[Any, Any]:
        """The tiny model's image processor and tokenizer."""
        return processing.image_processor(TINY), processing.tokenizer(TINY, *processing.vocabulary(TINY))

    def code_files(self) -> list[Path]:
        """The code files of its directories."""
        return processing.code_files()

    def meta_model(self, size: str) -> nn.Module:
        import torch

        with torch.device("meta"):
            model: nn.Module = import_module(self.model_code).MiniCPMV(self.configuration(self.dimensions(size)))
        return model

    def write_base(self, directory: Path) -> None:
        from transformers import GenerationConfig

        from harness.families.weights import write_sharded

        write_sharded(directory, {key: tuple(v.shape) for key, v in self.meta_model("tiny").state_dict().items()})
        config = self.configuration(self.tiny)
        config.architectures = [names.MODEL_CLASS]
        config.auto_map = dict(processing.MODEL_CODE)
        config.save_pretrained(directory)
        GenerationConfig(**self.special_ids()).save_pretrained(directory)
        for part in self.feeding_parts():
            part.save_pretrained(directory)
        for path in self.code_files():
            shutil.copyfile(path, directory / path.name)

    def load(self, directory: Path, dtype: torch.dtype, attention: str | None = None) -> Loaded:
        from transformers import AutoModel, AutoProcessor

        from harness import stack

        trusted = {"trust_remote_code": True}
        options = {**stack.dtype_argument(dtype), **stack.attention_argument(attention)}
        model = AutoModel.from_pretrained(directory, **options, **trusted)
        return Loaded(model, AutoProcessor.from_pretrained(directory, **trusted), directory)

    def arguments(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {"data": _without_labels(batch), "use_cache": False}

    def loss(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        from torch.nn.functional import cross_entropy

        logits = model(**self.arguments(batch)).logits
        return cross_entropy(logits.flatten(0, 1).float(), batch["labels"].flatten(), ignore_index=IGNORED_LABEL)

    def generation(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {"data": _without_labels(batch)}

    def intent(self, recipe: Recipe) -> Intent:
        for rule in self.rules:
            rule(recipe)
        return intent_from(recipe, self.tables(self.dimensions(recipe.size)))

    def modes(self) -> dict[str, dict[str, Any]]:
        return modes.MODES


def _without_labels(batch: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in batch.items() if name != "labels"}


MINICPM_LLAMA3_V_2_5 = MiniCPM(
    "minicpm-llama3-v-2.5", PUBLISHED, "Idefics2's SigLIP-400M, sliced pictures and Llama 3 8B"
)
