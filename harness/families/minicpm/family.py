"""MiniCPM-Llama3-V 2.5 as a family: built full and tiny, written, loaded, fed, and what it promises."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from harness.families.family import Handles, Loaded
from harness.families.fed import Batches, FedConversations
from harness.families.minicpm import batches, modes, names, processing, refusals, tokens
from harness.families.minicpm.configuration import configuration
from harness.families.minicpm.dimensions import PUBLISHED, TINY, Dimensions
from harness.families.promises import intent_from
from harness.families.supervision import IGNORED_LABEL
from harness.intent import Intent
from harness.recipe import Recipe
from harness.trace.naming import Naming

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class MiniCPM(FedConversations):
    """A MiniCPM-V whose code comes in its directory."""

    name: str
    full: Dimensions
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
    fed_by: ClassVar[Batches] = batches

    def dimensions(self, size: str) -> Dimensions:
        return self.full if size == "full" else TINY

    def meta_model(self, size: str) -> nn.Module:
        import torch

        from harness.families.minicpm.code_files.modeling_minicpmv import MiniCPMV

        with torch.device("meta"):
            model: nn.Module = MiniCPMV(configuration(self.dimensions(size)))
        return model

    def write_base(self, directory: Path) -> None:
        from transformers import GenerationConfig

        from harness.families.weights import write_sharded

        write_sharded(directory, {key: tuple(v.shape) for key, v in self.meta_model("tiny").state_dict().items()})
        config = configuration(TINY)
        config.architectures = [names.MODEL_CLASS]
        config.auto_map = dict(processing.MODEL_CODE)
        config.save_pretrained(directory)
        ids = tokens.ids(TINY)
        GenerationConfig(
            bos_token_id=ids[tokens.BEGIN],
            eos_token_id=[ids[tokens.END], ids[tokens.TURN_END]],
            pad_token_id=ids[tokens.PAD],
        ).save_pretrained(directory)
        processing.image_processor(TINY).save_pretrained(directory)
        processing.tokenizer(TINY, *processing.vocabulary(TINY)).save_pretrained(directory)
        processing.write_code(directory)

    def load(self, directory: Path, dtype: torch.dtype) -> Loaded:
        from transformers import AutoModel, AutoProcessor

        from harness import stack

        trusted = {"trust_remote_code": True}
        model = AutoModel.from_pretrained(directory, **stack.dtype_argument(dtype), **trusted)
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
        refusals.refuse(recipe)
        return intent_from(recipe, names.tables(self.dimensions(recipe.size)))

    def modes(self) -> dict[str, dict[str, Any]]:
        return modes.MODES


def _without_labels(batch: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in batch.items() if name != "labels"}


MINICPM_LLAMA3_V_2_5 = MiniCPM(
    "minicpm-llama3-v-2.5", PUBLISHED, "Idefics2's SigLIP-400M, sliced pictures and Llama 3 8B"
)
