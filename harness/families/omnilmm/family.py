"""OmniLMM-12B as a family: built full and tiny, written, loaded, fed, and what it promises."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from harness.families.family import Handles, Loaded
from harness.families.fed import Batches, FedConversations
from harness.families.omnilmm import batches, modes, names, processing
from harness.families.omnilmm.configuration import configuration
from harness.families.omnilmm.dimensions import PUBLISHED, TINY, Dimensions
from harness.families.promises import intent_from
from harness.intent import Intent
from harness.recipe import Recipe
from harness.refusal import Refused
from harness.trace.naming import Naming

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class OmniLMM(FedConversations):
    """An OmniLMM whose code comes in its directory.

    `tune_clip` False is upstream's way to freeze the tower: it lies in a Python list and in a file of its own, and
    nothing that torch or the libraries do to the model reaches it.
    """

    name: str
    full: Dimensions
    tune_clip: bool = True
    description: str = ""
    sizes: tuple[str, ...] = ("full", "tiny")
    library_modules: tuple[str, ...] = (
        "transformers.models.mistral.modeling_mistral",
        "transformers.models.llama.tokenization_llama",
        "transformers.models.auto.modeling_auto",
        "transformers.models.auto.processing_auto",
        "transformers.image_processing_utils",
    )
    remote_code: bool = True
    labels_early: int = 0
    text_beside_images: bool = True
    naming: ClassVar[Naming] = Naming((), names.COMPONENTS)
    handles: ClassVar[Handles] = names.HANDLES
    fed_by: ClassVar[Batches] = batches

    def dimensions(self, size: str) -> Dimensions:
        return self.full if size == "full" else TINY

    def meta_model(self, size: str) -> nn.Module:
        import torch

        from harness.families.omnilmm.code_files.modeling_omnilmm import OmniLMMForCausalLM

        with torch.device("meta"):
            model: nn.Module = OmniLMMForCausalLM(configuration(self.dimensions(size), self.tune_clip))
        return model

    def write_base(self, directory: Path) -> None:
        from transformers import GenerationConfig

        from harness.families.weights import write_sharded

        write_sharded(directory, {key: tuple(v.shape) for key, v in self.meta_model("tiny").state_dict().items()})
        if not self.tune_clip:
            _write_tower(directory / names.TOWER_FILE, self.meta_model("tiny"))
        config = configuration(TINY, self.tune_clip)
        config.architectures = [names.MODEL_CLASS]
        config.auto_map = dict(processing.MODEL_CODE)
        config.save_pretrained(directory)
        GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=2).save_pretrained(directory)
        processing.image_processor(TINY).save_pretrained(directory)
        processing.tokenizer(TINY).save_pretrained(directory)
        processing.write_code(directory)

    def load(self, directory: Path, dtype: torch.dtype, attention: str | None = None) -> Loaded:
        from transformers import AutoModelForCausalLM, AutoProcessor

        from harness import stack

        trusted = {"trust_remote_code": True}
        processor = AutoProcessor.from_pretrained(directory, **trusted)
        options = {**stack.dtype_argument(dtype), **stack.attention_argument(attention)}
        model = AutoModelForCausalLM.from_pretrained(directory, **options, **trusted)
        model.initialize_vision_tokenizer(True, processor.tokenizer)
        return Loaded(model, processor, directory)

    def adjust(self, model: Any, recipe: Recipe) -> None:
        """The resampler's positions stay fixed, and `tune_mm_mlp_adapter` does more than to freeze and to thaw."""
        model.model.resampler.pos_embed.requires_grad_(False)
        if modes.tunes_adapter_alone(recipe):
            model.tune_adapter_alone()

    def arguments(self, batch: dict[str, Any]) -> dict[str, Any]:
        return batch

    def loss(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        loss: torch.Tensor = model(**batch).loss
        return loss

    def generation(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in batch.items() if name != "labels"}

    def intent(self, recipe: Recipe) -> Intent:
        if recipe.peft and recipe.peft.is_prompt:
            raise Refused(
                f"adapter.method {recipe.peft.method}: peft gives embeddings in place of token ids, and this model"
                " looks at pictures where it is given ids",
                do="use lora, or another method that sits on layers",
            )
        return intent_from(recipe, names.tables(self.dimensions(recipe.size)))

    def modes(self) -> dict[str, dict[str, Any]]:
        return modes.MODES if self.tune_clip else modes.WITHOUT_TOWER


def _write_tower(file: Path, model: Any) -> None:
    """The tower's weights as timm names them, with the values that they have within the model."""
    from harness.families.weights import filled
    from harness.trace.writer import write_safetensors

    shapes = {key: tuple(tensor.shape) for key, tensor in model.model.tower.state_dict().items()}
    file.parent.mkdir()
    write_safetensors(
        file, {k: filled(f"model.vision_tower.{k}", s) for k, s in shapes.items()}, metadata={"format": "pt"}
    )


OMNILMM_12B = OmniLMM("omnilmm-12b", PUBLISHED, True, "EVA02-E/14, 64 queries and Zephyr 7B")
OMNILMM_12B_NO_TUNE_CLIP = OmniLMM(
    "omnilmm-12b-no-tune-clip", PUBLISHED, False, "the same with tune_clip False: the tower lies in a Python list"
)
