"""The names of LLaVA-1.5's parts: published keys, the component of each, and the native names fine-tuning code uses."""

from __future__ import annotations

from harness.checkpoint.towers import Tower
from harness.families.family import Handles
from harness.families.llava.dimensions import FEATURE_LAYER, Dimensions
from harness.families.promises import Tables

RENAMES = (
    (r"^(?:model\.)?vision_tower(?:\.vision_model)?(?=\.|$)", "vision_tower.vision_model"),
    (r"^(?:model\.)?multi_modal_projector(?=\.|$)", "multi_modal_projector"),
    (r"^(?:base_model\.)?(?:language_model\.)?lm_head(?=\.|$)", "language_model.lm_head"),
    (r"^(?:model\.language_model|language_model\.model)(?=\.|$)", "language_model.model"),
    # peft wraps a model for prompts without a layer of its own between: its prefix then takes one of the model's. And
    # it keeps the tokens' embeddings under a name of its own too.
    (r"^word_embeddings(?=\.|$)", "language_model.model.embed_tokens"),
    (r"^language_model(?=\.(?:layers|norm|embed_tokens))", "language_model.model"),
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
TIED = ("language_model.model.embed_tokens.weight", "language_model.lm_head.weight")
HANDLES = Handles(
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
    in_projector_file={"connector": ("multi_modal_projector",)},
    towers=(
        Tower(
            component="vision",
            setting="mm_vision_tower",
            kept="unfreeze_mm_vision_tower",
            module=r"(?:model\.)?vision_tower$",
            file="model.safetensors",
            renames=((r"^(?:vision_model\.)?", "vision_model."),),
        ),
    ),
)


def tables(d: Dimensions) -> Tables:
    """The published facts of a size that an intent is made from."""
    reached = d.vision_layers + 1 + FEATURE_LAYER
    beyond = "|".join(str(layer) for layer in range(reached, d.vision_layers))
    return Tables(
        blank_for_text=False,
        components=COMPONENTS,
        renames=RENAMES,
        layers=LAYERS,
        depth={"vision": d.vision_layers, "language": d.layers},
        out_of_reach=(
            LAYERS["vision"].format(layer=f"(?:{beyond})"),
            r"vision_tower\.vision_model\.post_layernorm\.",
        ),
        ties=(TIED,) if d.tied else (),
        model_class="LlavaForConditionalGeneration",
        attention=("vision", "language"),
        processor_class="LlavaProcessor",
    )
