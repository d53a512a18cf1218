"""The LLaVA-1.5 models as families: built full and tiny, written, loaded, fed, and what they promise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from harness.families.family import Handles, Loaded
from harness.families.fed import Batches, FedConversations
from harness.families.llava import batches, names, processing
from harness.families.llava.dimensions import PUBLISHED_7B, PUBLISHED_13B, TINY, Dimensions, configuration
from harness.families.promises import Tables, intent_from
from harness.families.templates import TEMPLATES, ByTemplate, Template
from harness.intent import Intent
from harness.recipe import Recipe
from harness.trace.naming import Naming

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class Llava(ByTemplate, FedConversations):
    """One member of the LLaVA-1.5 family."""

    name: str
    full: Dimensions
    description: str = ""
    sizes: tuple[str, ...] = ("full", "tiny")
    library_modules: tuple[str, ...] = (
        "transformers.models.llava.modeling_llava",
        "transformers.models.llava.processing_llava",
        "transformers.models.clip.modeling_clip",
        "transformers.models.clip.image_processing_clip",
        "transformers.models.clip.image_processing_pil_clip",
        "transformers.models.llama.modeling_llama",
        "transformers.models.llama.tokenization_llama",
    )
    remote_code: bool = False
    labels_early: int = 0
    text_beside_images: bool = True
    spoken: str = ""
    naming: ClassVar[Naming] = Naming(names.RENAMES, names.COMPONENTS)
    handles: ClassVar[Handles] = names.HANDLES
    templates: ClassVar[tuple[str, ...]] = ("v1", "vicuna_v1", "plain", "llama_2", "mistral_instruct")

    @property
    def template(self) -> Template:
        return TEMPLATES[self.spoken or self.templates[0]]

    @property
    def fed_by(self) -> Batches:
        return batches.TemplateBatches(self.template)

    def dimensions(self, size: str) -> Dimensions:
        return self.full if size == "full" else TINY

    def tables(self, size: str) -> Tables:
        return replace(names.tables(self.dimensions(size)), single_tokens=self.template.single)

    def meta_model(self, size: str) -> nn.Module:
        import torch
        from transformers import LlavaForConditionalGeneration

        with torch.device("meta"):
            model: nn.Module = LlavaForConditionalGeneration(configuration(self.dimensions(size)))
        return model

    def write_base(self, directory: Path) -> None:
        from transformers import GenerationConfig

        from harness.families.weights import write_sharded

        d = self.dimensions("tiny")
        shapes = {self.naming.canonical(k): tuple(v.shape) for k, v in self.meta_model("tiny").state_dict().items()}
        stored_elsewhere = {key for group in self.tables("tiny").ties for key in group[1:]}
        write_sharded(directory, {key: shape for key, shape in shapes.items() if key not in stored_elsewhere})
        config = configuration(d)
        config.architectures = ["LlavaForConditionalGeneration"]
        config.save_pretrained(directory)
        GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=d.pad_token).save_pretrained(directory)
        processing.processor(d).save_pretrained(directory)

    def load(self, directory: Path, dtype: torch.dtype, attention: str | None = None) -> Loaded:
        from transformers import AutoProcessor, LlavaForConditionalGeneration

        from harness import stack

        options = {**stack.dtype_argument(dtype), **stack.attention_argument(attention)}
        model = LlavaForConditionalGeneration.from_pretrained(directory, **options)
        return Loaded(model, AutoProcessor.from_pretrained(directory), directory)

    def arguments(self, batch: dict[str, Any]) -> dict[str, Any]:
        return batch

    def loss(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        loss: torch.Tensor = model(**batch).loss
        return loss

    def generation(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in batch.items() if name != "labels"}

    def intent(self, recipe: Recipe) -> Intent:
        return intent_from(recipe, self.tables(recipe.size))

    def modes(self) -> dict[str, dict[str, Any]]:
        qv = r".*language_model\..*\.(q_proj|v_proj)"
        every = r".*language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
        return {
            "connector": {"tune": ["connector"]},
            "connector+llm": {"tune": ["connector", "llm"]},
            "full": {"tune": ["vision", "connector", "llm"]},
            "lora-qv": {"lora": {"rank": 8, "targets": qv}},
            "lora-all+connector": {
                "tune": ["connector"],
                "lora": {"rank": 128, "alpha": 256, "targets": every},
            },
        }


LLAVA_7B = Llava("llava-1.5-7b", PUBLISHED_7B, "CLIP-L/14-336 and Vicuna 7B")
LLAVA_13B = Llava("llava-1.5-13b", PUBLISHED_13B, "CLIP-L/14-336 and Vicuna 13B")
