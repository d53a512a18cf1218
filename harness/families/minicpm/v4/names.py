"""The names of MiniCPM-V 4.6's and 4.7's parts: those that the library saves are those in memory."""

from __future__ import annotations

import re
from collections.abc import Iterable

from harness.families.family import Handles
from harness.families.minicpm.v4.dimensions import Dimensions
from harness.families.minicpm.v4.processing import CLOSE, OPEN
from harness.families.promises import Tables

# peft wraps a model for prompts without a layer of its own between: its prefix then takes one of the model's. And it
# keeps the tokens' embeddings under a name of its own too.
RENAMES = (
    (r"^base_model\.lm_head(?=\.|$)", "lm_head"),
    (r"^word_embeddings(?=\.|$)", "model.language_model.embed_tokens"),
    (r"^(?=(?:vision_tower|merger|language_model)(?:\.|$))", "model."),
)
COMPONENTS = (
    (r"model\.vision_tower\.", "vision"),
    (r"model\.merger\.", "connector"),
    (r"model\.language_model\.embed_tokens\.", "embeddings"),
    (r"lm_head\.", "lm_head"),
    (r"model\.language_model\.(?:layers|norm)\.", "language"),
)
LAYERS = {
    "vision": r"model\.vision_tower\.encoder\.layers\.{layer}\.",
    "language": r"model\.language_model\.layers\.{layer}\.",
}
TIED = ("model.language_model.embed_tokens.weight", "lm_head.weight")
# What lies around another number than usual. Qwen 3.5's norms add one to their weights, but for those of linear layers.
# And these layers forget slowly here: at the usual rate the sum over a chunk of 64 tokens is e to the power of 40, and
# rounding shows in which chunk a token stands.
CENTRES = (
    (r"model\.language_model\.(?:norm|.*\.(?:input_layernorm|post_attention_layernorm|[qk]_norm))\.", 0.0),
    (r".*\.A_log$", -4.0),
)
HANDLES = Handles(
    components={
        "vision": r"model\.vision_tower$",
        "connector": r"model\.merger$",
        "language": r"model\.language_model\.(?:layers|norm)$",
        "embeddings": r"model\.language_model\.embed_tokens$",
        "lm_head": r"lm_head$",
    },
    layers={"vision": r"model\.vision_tower\.encoder\.layers$", "language": r"model\.language_model\.layers$"},
    saved_with_adapter={"vision": "vision_tower", "connector": "model.merger"},
)


def centres(keys: Iterable[str]) -> dict[str, float]:
    """Around what the vectors lie that do not lie around one or zero."""
    return {key: centre for key in keys for pattern, centre in CENTRES if re.match(pattern, key)}


def tables(kind: str, d: Dimensions) -> Tables:
    """The published facts of a size that an intent is made from."""
    return Tables(
        blank_for_text=False,
        components=COMPONENTS,
        renames=RENAMES,
        layers=LAYERS,
        depth={"vision": d.vision_layers, "language": d.layers},
        ties=(TIED,),
        model_class=f"MiniCPMV{kind}ForConditionalGeneration",
        attention=("vision", "language"),
        processor_class=f"MiniCPMV{kind}Processor",
        single_tokens=(OPEN, CLOSE),
    )
