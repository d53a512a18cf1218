"""LLaVA-1.5 as transformers ships it: a CLIP tower, a two-layer connector, a Llama language model.

Sources: Liu et al., "Improved Baselines with Visual Instruction Tuning" (arXiv 2310.03744); the configurations of
llava-hf/llava-1.5-7b-hf and llava-1.5-13b-hf, whose keys are the canonical ones here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from harness.families.family import Handles, Loaded
from harness.families.promises import Tables, intent_from
from harness.families.supervision import IGNORED_LABEL, Piece, labels_for
from harness.intent import Intent
from harness.recipe import Recipe
from harness.refusal import Refused
from harness.trace.naming import Naming

if TYPE_CHECKING:
    import torch
    from torch import nn

    from harness.data import Sample

IMAGE, PAD = "<image>", "<pad>"
FEATURE_LAYER = -2  # the tower's last but one layer feeds the connector: its last is never reached

# What LLaVA-1.5's own conversation template ("vicuna_v1") makes of turns, without the system sentence.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}USER: {% else %} ASSISTANT: {% endif %}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] if part['type'] == 'image' %}<image>\n{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}{% endif %}"
    "{% if message['role'] == 'assistant' %}</s>{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %} ASSISTANT:{% endif %}"
)

RENAMES = (
    (r"^(?:model\.)?vision_tower(?:\.vision_model)?(?=\.|$)", "vision_tower.vision_model"),
    (r"^(?:model\.)?multi_modal_projector(?=\.|$)", "multi_modal_projector"),
    (r"^(?:language_model\.)?lm_head(?=\.|$)", "language_model.lm_head"),
    (r"^(?:model\.language_model|language_model\.model)(?=\.|$)", "language_model.model"),
)
COMPONENTS = (
    (r"vision_tower\.", "vision"),
    (r"multi_modal_projector\.", "connector"),
    (r"language_model\.model\.embed_tokens\.", "embeddings"),
    (r"language_model\.lm_head\.", "lm_head"),
    (r"language_model\.model\.(?:layers|norm)\.", "language"),
)
LAYERS = {
    "vision": r"vision_tower\.vision_model\.encoder\.layers\.{layer}\.",
    "language": r"language_model\.model\.layers\.{layer}\.",
}


@dataclass(frozen=True)
class Dimensions:
    """The sizes of one configuration. Heads of the language model are all key-value heads too, as in Llama 1 and 2."""

    hidden: int
    feed_forward: int
    layers: int
    heads: int
    vocabulary: int
    image_token: int
    vision_hidden: int = 1024
    vision_feed_forward: int = 4096
    vision_layers: int = 24
    vision_heads: int = 16
    image_size: int = 336
    patch: int = 14
    positions: int = 4096

    @property
    def image_tokens(self) -> int:
        return (self.image_size // self.patch) ** 2


TINY = Dimensions(
    hidden=64,
    feed_forward=172,
    layers=2,
    heads=2,
    vocabulary=576,
    image_token=512,
    vision_hidden=64,
    vision_feed_forward=256,
    vision_layers=3,
    vision_heads=2,
    image_size=56,
    positions=512,
)


@dataclass(frozen=True)
class Llava:
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
    naming: ClassVar[Naming] = Naming(RENAMES, COMPONENTS)
    handles: ClassVar[Handles] = Handles(
        components={
            "vision": r"(?:model\.)?vision_tower$",
            "connector": r"(?:model\.)?multi_modal_projector$",
            "language": r"(?:model\.language_model|language_model\.model)\.(?:layers|norm)$",
            "embeddings": r".*\bembed_tokens$",
            "lm_head": r"(?:language_model\.)?lm_head$",
        },
        layers={
            "vision": r"(?:model\.)?vision_tower\.(?:vision_model\.)?encoder\.layers$",
            "language": r"(?:model\.language_model|language_model\.model)\.layers$",
        },
        saved_with_adapter={
            "vision": "vision_tower",
            "connector": "multi_modal_projector",
            "embeddings": "embed_tokens",
            "lm_head": "lm_head",
        },
    )

    def dimensions(self, size: str) -> Dimensions:
        return self.full if size == "full" else TINY

    def config(self, size: str) -> Any:
        """The transformers configuration of a size."""
        from transformers import LlavaConfig

        d = self.dimensions(size)
        return LlavaConfig(
            text_config={
                "model_type": "llama",
                "hidden_size": d.hidden,
                "intermediate_size": d.feed_forward,
                "num_hidden_layers": d.layers,
                "num_attention_heads": d.heads,
                "num_key_value_heads": d.heads,
                "vocab_size": d.vocabulary,
                "max_position_embeddings": d.positions,
                "rms_norm_eps": 1e-5,
            },
            vision_config={
                "model_type": "clip_vision_model",
                "hidden_size": d.vision_hidden,
                "intermediate_size": d.vision_feed_forward,
                "num_hidden_layers": d.vision_layers,
                "num_attention_heads": d.vision_heads,
                "image_size": d.image_size,
                "patch_size": d.patch,
                "projection_dim": 768,
                "vocab_size": 32000,
            },
            image_token_index=d.image_token,
            image_seq_length=d.image_tokens,
            vision_feature_layer=FEATURE_LAYER,
            vision_feature_select_strategy="default",
            projector_hidden_act="gelu",
            pad_token_id=d.image_token + 1,
            tie_word_embeddings=False,
        )

    def meta_model(self, size: str) -> nn.Module:
        import torch
        from transformers import LlavaForConditionalGeneration

        with torch.device("meta"):
            model: nn.Module = LlavaForConditionalGeneration(self.config(size))
        return model

    def processor(self, size: str = "tiny") -> Any:
        """The real processor classes over a small tokenizer trained offline."""
        from transformers import AddedToken, LlavaProcessor

        from harness import stack
        from harness.families.tokenizers import llama_tokenizer, shipped_text

        d = self.dimensions(size)
        tokenizer = llama_tokenizer(
            d.image_token,
            shipped_text(),
            padding_side="right",
            model_max_length=d.positions,
            legacy=False,
            add_bos_token=True,
        )
        tokenizer.add_tokens([AddedToken(IMAGE, special=True), AddedToken(PAD, special=True)], special_tokens=True)
        tokenizer.pad_token = PAD
        side = {"height": d.image_size, "width": d.image_size}
        images = stack.pil_image_processor("CLIPImageProcessor")(
            size={"shortest_edge": d.image_size}, crop_size=side, do_convert_rgb=True
        )
        return LlavaProcessor(
            image_processor=images,
            tokenizer=tokenizer,
            patch_size=d.patch,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
            chat_template=CHAT_TEMPLATE,
            image_token=IMAGE,
        )

    def write_base(self, directory: Path) -> None:
        from transformers import GenerationConfig

        from harness.families.weights import write_sharded

        shapes = {self.naming.canonical(k): tuple(v.shape) for k, v in self.meta_model("tiny").state_dict().items()}
        write_sharded(directory, shapes)
        config = self.config("tiny")
        config.architectures = ["LlavaForConditionalGeneration"]
        config.save_pretrained(directory)
        GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=TINY.image_token + 1).save_pretrained(directory)
        self.processor().save_pretrained(directory)

    def load(self, directory: Path, dtype: torch.dtype) -> Loaded:
        from transformers import AutoProcessor, LlavaForConditionalGeneration

        from harness import stack

        model = LlavaForConditionalGeneration.from_pretrained(directory, **stack.dtype_argument(dtype))
        return Loaded(model, AutoProcessor.from_pretrained(directory), directory)

    def pieces(self, sample: Sample) -> list[Piece]:
        """The prompt of a sample, cut where supervision begins and ends."""
        pieces: list[Piece] = []
        for turn in sample.turns:
            if turn.speaker == "user":
                pieces.append(Piece(f"USER: {turn.text} ASSISTANT:", supervised=False))
            else:
                pieces.append(Piece(f" {turn.text}</s>", supervised=True))
        return pieces

    def prompt(self, sample: Sample) -> dict[str, Any]:
        return {
            "text": "".join(piece.text for piece in self.pieces(sample)),
            "images": [str(path) for path in sample.images],
        }

    def encode(self, sample: Sample, processor: Any, max_length: int) -> dict[str, Any]:
        import torch

        pieces = self.pieces(sample)
        images = [_opened(path) for path in sample.images]
        text = "".join(piece.text for piece in pieces)
        inputs = processor(text=[text], images=images or None, return_tensors="pt")
        ids = inputs["input_ids"][0].tolist()
        if len(ids) > max_length:
            raise Refused(
                f"sample {sample.id}: {len(ids)} tokens exceed max_length {max_length}",
                do="raise data.max_length, or drop the sample: cutting it would lose image tokens or the answer",
            )
        expanded = _expanded(pieces, ids.count(processor.image_token_id), len(images), processor.image_token)
        labels = labels_for(expanded, ids, processor.tokenizer, sample.id)
        encoded: dict[str, Any] = {"input_ids": torch.tensor(ids), "labels": torch.tensor(labels)}
        if images:
            encoded["pixel_values"] = inputs["pixel_values"]
        return encoded

    def collate(self, encoded: list[dict[str, Any]], processor: Any) -> dict[str, torch.Tensor]:
        import torch

        padded = torch.nn.utils.rnn.pad_sequence
        pad = processor.tokenizer.pad_token_id
        ids = padded([one["input_ids"] for one in encoded], batch_first=True, padding_value=pad)
        lengths = torch.tensor([len(one["input_ids"]) for one in encoded])
        batch = {
            "input_ids": ids,
            "attention_mask": (torch.arange(ids.shape[1]) < lengths[:, None]).long(),
            "labels": padded([one["labels"] for one in encoded], batch_first=True, padding_value=IGNORED_LABEL),
        }
        if pixels := [one["pixel_values"] for one in encoded if "pixel_values" in one]:
            batch["pixel_values"] = torch.cat(pixels)
        return batch

    def intent(self, recipe: Recipe) -> Intent:
        return intent_from(recipe, self.tables(recipe.size))

    def tables(self, size: str) -> Tables:
        """The published facts of a size that an intent is made from."""
        d = self.dimensions(size)
        reached = d.vision_layers + 1 + FEATURE_LAYER
        beyond = "|".join(str(layer) for layer in range(reached, d.vision_layers))
        return Tables(
            components=COMPONENTS,
            renames=RENAMES,
            layers=LAYERS,
            depth={"vision": d.vision_layers, "language": d.layers},
            out_of_reach=(
                LAYERS["vision"].format(layer=f"(?:{beyond})"),
                r"vision_tower\.vision_model\.post_layernorm\.",
            ),
            model_class="LlavaForConditionalGeneration",
            processor_class="LlavaProcessor",
        )

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


def _opened(path: Path) -> Any:
    from PIL import Image

    with Image.open(path) as image:
        return image.convert("RGB")


def _expanded(pieces: list[Piece], tokens: int, images: int, marker: str) -> list[Piece]:
    """The pieces with each image marker as often as the processor repeated it."""
    if not images:
        return pieces
    return [Piece(p.text.replace(marker, marker * (tokens // images)), p.supervised) for p in pieces]


LLAVA_7B = Llava("llava-1.5-7b", Dimensions(4096, 11008, 32, 32, 32064, 32000), "CLIP-L/14-336 and Vicuna 7B")
LLAVA_13B = Llava("llava-1.5-13b", Dimensions(5120, 13824, 40, 40, 32064, 32000), "CLIP-L/14-336 and Vicuna 13B")
