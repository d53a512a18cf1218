"""MiniCPM-V 4.6 and 4.7 as families: built full and tiny, written, loaded, fed, and what they promise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from harness import stack
from harness.families.family import Handles, Loaded
from harness.families.fed import Batches, FedConversations, TakesBatchesAsTheyAre
from harness.families.minicpm.refusals import prefixes_before_linear_attention
from harness.families.minicpm.v4 import batches, names, processing
from harness.families.minicpm.v4.dimensions import PUBLISHED, TINY, Dimensions, configuration
from harness.families.promises import intent_from
from harness.intent import Intent
from harness.recipe import Recipe
from harness.trace.naming import Naming

if TYPE_CHECKING:
    import torch
    from torch import nn

# Names that only full attention has, and names that linear attention has: of the former alone, one layer in four.
FULL = r"model\.language_model\..*\.(q_proj|k_proj|v_proj|o_proj)"
BOTH = r"model\.language_model\..*\.(q_proj|k_proj|v_proj|o_proj|in_proj_qkv|in_proj_z|out_proj)"
ARRIVED = {"4_6": (5, 7), "4_7": (5, 18)}  # the releases of transformers that have the classes
NEWLINE = 10  # of the published vocabulary; the tiny tokenizer is asked for its own


@dataclass(frozen=True)
class MiniCPMV4(TakesBatchesAsTheyAre, FedConversations):
    """A MiniCPM-V that the library knows. `kind` is how its classes are called there: 4_6 or 4_7."""

    name: str
    kind: str
    description: str = ""
    full: Dimensions = PUBLISHED
    sizes: tuple[str, ...] = ("full", "tiny")
    remote_code: bool = False
    labels_early: int = 0
    text_beside_images: bool = True
    naming: ClassVar[Naming] = Naming(names.RENAMES, names.COMPONENTS)
    handles: ClassVar[Handles] = names.HANDLES
    fed_by: ClassVar[Batches] = batches

    @property
    def needs(self) -> tuple[stack.Since, ...]:
        return (stack.Since("transformers", ARRIVED[self.kind], "earlier ones do not have the model's classes"),)

    @property
    def library_modules(self) -> tuple[str, ...]:
        return (
            f"transformers.models.minicpmv{self.kind}.modeling_minicpmv{self.kind}",
            f"transformers.models.minicpmv{self.kind}.processing_minicpmv{self.kind}",
            "transformers.models.minicpmv4_6.image_processing_pil_minicpmv4_6",
            "transformers.models.qwen3_5.modeling_qwen3_5",
            "transformers.models.auto.modeling_auto",
            "transformers.models.auto.processing_auto",
            "transformers.video_processing_utils",
        )

    def dimensions(self, size: str) -> Dimensions:
        return self.full if size == "full" else TINY

    def meta_model(self, size: str) -> nn.Module:
        import torch

        d = self.dimensions(size)
        with torch.device("meta"):
            model: nn.Module = self._class(configuration(self.kind, d, **self._ids(d, NEWLINE)))
        return model

    def write_base(self, directory: Path) -> None:
        from transformers import GenerationConfig

        from harness.families.weights import write_sharded

        keys = {key: tuple(v.shape) for key, v in self.meta_model("tiny").state_dict().items() if key != names.TIED[1]}
        write_sharded(directory, keys, scales=names.centres(keys))
        processor = processing.processor(self.kind, TINY)
        (newline,) = processor.tokenizer("\n")["input_ids"]
        config = configuration(self.kind, TINY, **self._ids(TINY, newline))
        config.architectures = [self._class.__name__]
        config.save_pretrained(directory)
        ids = processing.special_ids(TINY)
        ends = [ids[processing.CLOSE], ids[processing.PAD]]
        GenerationConfig(eos_token_id=ends, pad_token_id=ids[processing.PAD]).save_pretrained(directory)
        processor.save_pretrained(directory)

    def load(self, directory: Path, dtype: torch.dtype, attention: str | None = None) -> Loaded:
        options = {**stack.dtype_argument(dtype), **stack.attention_argument(attention)}
        model = self._class.from_pretrained(directory, **options)
        return Loaded(model, stack.pictures_alone(directory), directory)

    def intent(self, recipe: Recipe) -> Intent:
        prefixes_before_linear_attention(recipe)
        return intent_from(recipe, names.tables(self.kind, self.dimensions(recipe.size)))

    def modes(self) -> dict[str, dict[str, Any]]:
        return {
            "full": {"tune": ["all"]},
            "connector+llm": {"tune": ["connector", "llm"]},
            "vision+connector": {"tune": ["vision", "connector"]},
            "connector": {"tune": ["connector"]},
            "lora-full-attention": {"lora": {"rank": 8, "targets": FULL}},
            "lora": {"lora": {"rank": 8, "targets": BOTH}},
            "lora+connector": {"tune": ["connector"], "lora": {"rank": 8, "targets": BOTH}},
            "lora+vision": {"tune": ["vision", "connector"], "lora": {"rank": 8, "targets": BOTH}},
            "last-layers": {"tune": {"connector": "all", "language": {"last": 2}}},
        }

    @property
    def _class(self) -> Any:
        import transformers

        return getattr(transformers, f"MiniCPMV{self.kind}ForConditionalGeneration")

    def _ids(self, d: Dimensions, newline: int) -> dict[str, int]:
        return processing.configured_ids(self.kind, d, newline)


MINICPM_V_4_6 = MiniCPMV4("minicpm-v-4.6", "4_6", "SigLIP-400M that merges its own patches, and Qwen 3.5 0.8B")
MINICPM_V_4_7 = MiniCPMV4("minicpm-v-4.7", "4_7", "the same, with the pictures' parts laid out on one canvas")
