"""The Mini-Gemini models as families: built full and tiny, written, loaded, fed, and what they promise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from harness import stack
from harness.families.family import Handles, Loaded
from harness.families.fed import Batches, FedConversations
from harness.families.mini_gemini import modes, names, processing, refusals, templates
from harness.families.mini_gemini.batches import TemplateBatches
from harness.families.mini_gemini.configuration import configuration
from harness.families.mini_gemini.dimensions import PUBLISHED, TINY, Dimensions
from harness.families.mini_gemini.templates import Template
from harness.families.promises import intent_from
from harness.families.templates import TEMPLATES, ByTemplate
from harness.intent import Intent
from harness.recipe import Recipe, Tune
from harness.trace.naming import Naming

if TYPE_CHECKING:
    import torch
    from torch import nn

GAMMA = stack.Since(
    "transformers",
    (4, 49),
    "from_pretrained of earlier ones takes 'gamma' in a key for 'weight', and the second tower's layer scales are lost",
)
LANGUAGE_MODULES = {kind: f"transformers.models.{kind}.modeling_{kind}" for kind in ("llama", "gemma", "mixtral")}


@dataclass(frozen=True)
class MiniGemini(ByTemplate, FedConversations):
    """One member of Mini-Gemini, whose code comes in its directory."""

    name: str
    member: str
    template: Template
    description: str = ""
    high_resolution: bool = False
    sizes: tuple[str, ...] = ("full", "tiny")
    library_modules: tuple[str, ...] = (
        *LANGUAGE_MODULES.values(),
        "transformers.models.clip.modeling_clip",
        "transformers.models.auto.modeling_auto",
        "transformers.models.auto.processing_auto",
        "transformers.image_processing_utils",
        "transformers.tokenization_utils_fast",
    )
    remote_code: bool = True
    labels_early: int = 0
    text_beside_images: bool = True
    spoken: str = ""
    needs: ClassVar[tuple[stack.Since, ...]] = (GAMMA,)
    naming: ClassVar[Naming] = Naming(names.RENAMES, names.COMPONENTS)
    handles: ClassVar[Handles] = names.HANDLES

    @property
    def fed_by(self) -> Batches:
        other = self.spoken and self.spoken != self.template.version
        return TemplateBatches(TEMPLATES[self.spoken] if other else self.template)

    @property
    def templates(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.template.version, *templates.ALSO_TAKEN[self.template.tokens.style])))

    def dimensions(self, size: str) -> Dimensions:
        d = (PUBLISHED if size == "full" else TINY)[self.member]
        return d.in_high_resolution() if self.high_resolution else d

    def meta_model(self, size: str) -> nn.Module:
        import torch

        from harness.families.mini_gemini.code_files import modeling_mini_gemini

        d = self.dimensions(size)
        with torch.device("meta"):
            made = getattr(modeling_mini_gemini, names.CLASSES[d.kind].model)
            model: nn.Module = made(configuration(d, self.template.tokens.ids_of(size)))
        if d.tied:
            model.tie_weights()  # type: ignore[operator]
        return model

    def write_base(self, directory: Path) -> None:
        from transformers import GenerationConfig

        from harness.families.weights import write_sharded

        d, ids = self.dimensions("tiny"), self.template.tokens.ids
        shapes = {self.naming.canonical(k): tuple(v.shape) for k, v in self.meta_model("tiny").state_dict().items()}
        stored_elsewhere = {key for group in names.tables(d).ties for key in group[1:]}
        stored = {key: shape for key, shape in shapes.items() if key not in stored_elsewhere}
        write_sharded(directory, stored, scales=names.scales(d, stored))
        config = configuration(d, ids)
        config.architectures = [names.CLASSES[d.kind].model]
        config.auto_map = processing.model_code(d.kind)
        config.save_pretrained(directory)
        GenerationConfig(bos_token_id=ids.begin, eos_token_id=ids.end, pad_token_id=ids.pad).save_pretrained(directory)
        processing.save_processor(directory, d, self.template)
        processing.write_code(directory)

    def load(self, directory: Path, dtype: torch.dtype, attention: str | None = None) -> Loaded:
        from transformers import AutoModelForCausalLM, AutoProcessor

        trusted = {"trust_remote_code": True}
        options = {**stack.dtype_argument(dtype), **stack.attention_argument(attention)}
        model = AutoModelForCausalLM.from_pretrained(directory, **options, **trusted)
        return Loaded(model, AutoProcessor.from_pretrained(directory, **trusted), directory)

    def arguments(self, batch: dict[str, Any]) -> dict[str, Any]:
        pixels = {"images": batch["pixel_values"], "images_aux": batch["pixel_values_aux"]}
        return {name: value for name, value in batch.items() if not name.startswith("pixel_values")} | pixels

    def loss(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        loss: torch.Tensor = model(**self.arguments(batch)).loss
        return loss

    def generation(self, batch: dict[str, Any]) -> dict[str, Any]:
        given = {name: value for name, value in self.arguments(batch).items() if name != "labels"}
        return {"inputs": given.pop("input_ids"), **given}

    def intent(self, recipe: Recipe) -> Intent:
        refusals.refuse(recipe, cuts_pictures=self.high_resolution)
        d = self.dimensions(recipe.size)
        told = recipe.model_copy(update={"tune": tuple(_by_name(part, d) for part in recipe.tune)})
        return intent_from(told, replace(names.tables(d), single_tokens=self._single_tokens()))

    def _single_tokens(self) -> tuple[str, ...]:
        if self.spoken and self.spoken != self.template.version:
            return TEMPLATES[self.spoken].single
        return tuple(dict.fromkeys((*self.template.tokens.turns, self.template.end)))

    def modes(self) -> dict[str, dict[str, Any]]:
        d = self.dimensions("full")
        found = modes.modes(modes.MIXTRAL_LINEAR if d.experts else modes.LLAMA_LINEAR, d.tied)
        if self.high_resolution:
            return {mode: {**settings, "data": {"mix": ["image", "text"]}} for mode, settings in found.items()}
        return found


def _by_name(part: Tune, d: Dimensions) -> Tune:
    """Last layers of the second tower are the last blocks of each of its stages: no one number says which."""
    if part.component != "vision_aux" or not part.last:
        return part
    return part.model_copy(update={"last": None, "named": (names.last_blocks(d, part.last),)})


def _both(member: str, template: Template, over: str) -> tuple[MiniGemini, MiniGemini]:
    """A member at low and at high resolution."""
    name = f"mini-gemini-{member}"
    return (
        MiniGemini(name, member, template, f"CLIP-L/14-336, ConvNeXt-L at 768, and {over}"),
        MiniGemini(f"{name}-hd", member, template, f"CLIP-L at 672, ConvNeXt-L at 1536, and {over}", True),
    )


MGM_2B, MGM_2B_HD = _both("2b", templates.GEMMA_TURNS, "Gemma 2B")
MGM_7B, MGM_7B_HD = _both("7b", templates.VICUNA, "Vicuna 7B")
MGM_8B, MGM_8B_HD = _both("8b", templates.LLAMA_3, "Llama 3 8B")
MGM_13B, MGM_13B_HD = _both("13b", templates.VICUNA, "Vicuna 13B")
MGM_8X7B, MGM_8X7B_HD = _both("8x7b", templates.MISTRAL, "Mixtral 8x7B")
MGM_34B, MGM_34B_HD = _both("34b", templates.CHATML_DIRECT, "Hermes 2 Yi 34B")
