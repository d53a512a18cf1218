"""The names of OmniLMM-12B's parts. In memory they are those of the checkpoint: nothing is renamed."""

from __future__ import annotations

from harness.families.family import Handles
from harness.families.omnilmm import tokens
from harness.families.omnilmm.dimensions import Dimensions
from harness.families.promises import Tables

MODEL_CLASS, PROCESSOR_CLASS = "OmniLMMForCausalLM", "OmniLMMProcessor"
TOWER = "eva02_enormous_patch14_clip_224.laion2b_plus"
TOWER_FILE = f"vision_tower/{TOWER}.safetensors"  # in a folder, as a tower that no checkpoint of the model holds

COMPONENTS = (
    (r"model\.vision_tower\.", "vision"),
    (r"model\.resampler\.", "connector"),
    (r"model\.embed_tokens\.", "embeddings"),
    (r"lm_head\.", "lm_head"),
    (r"model\.(?:layers|norm)\.", "language"),
)
FIXED = (r"model\.resampler\.pos_embed$",)
LAYERS = {"vision": r"model\.vision_tower\.blocks\.{layer}\.", "language": r"model\.layers\.{layer}\."}
HANDLES = Handles(
    components={
        "vision": r"model\.vision_tower$",
        "connector": r"model\.resampler$",
        "language": r"model\.(?:layers|norm)$",
        "embeddings": r"model\.embed_tokens$",
        "lm_head": r"lm_head$",
    },
    layers={"vision": r"model\.vision_tower\.blocks$", "language": r"model\.layers$"},
    saved_with_adapter={
        "vision": "vision_tower",
        "connector": "resampler",
        "embeddings": "embed_tokens",
        "lm_head": "lm_head",
    },
)


def tables(d: Dimensions) -> Tables:
    """The published facts of a size that an intent is made from. With pictures, a gradient reaches every parameter."""
    return Tables(
        components=COMPONENTS,
        renames=(),
        layers=LAYERS,
        depth={"vision": d.vision_blocks - 1, "language": d.layers},
        fixed=FIXED,
        model_class=MODEL_CLASS,
        attention=("language",),
        processor_class=PROCESSOR_CLASS,
        single_tokens=(tokens.END, tokens.PATCH, tokens.START, tokens.STOP),  # of the speakers' marks it makes several
    )
