"""The names of MiniCPM-Llama3-V 2.5's parts. In memory they are those of the checkpoint: nothing is renamed."""

from __future__ import annotations

from harness.families.family import Handles
from harness.families.minicpm import tokens
from harness.families.minicpm.dimensions import Dimensions
from harness.families.promises import Tables

MODEL_CLASS, PROCESSOR_CLASS = "MiniCPMV", "MiniCPMVProcessor"
COMPONENTS = (
    (r"vpm\.", "vision"),
    (r"resampler\.", "connector"),
    (r"llm\.model\.embed_tokens\.", "embeddings"),
    (r"llm\.lm_head\.", "lm_head"),
    (r"llm\.model\.(?:layers|norm)\.", "language"),
)
LAYERS = {
    "vision": r"vpm\.encoder\.layers\.{layer}\.",
    "language": r"llm\.model\.layers\.{layer}\.",
}
HANDLES = Handles(
    components={
        "vision": r"vpm$",
        "connector": r"resampler$",
        "language": r"llm\.model\.(?:layers|norm)$",
        "embeddings": r"llm\.model\.embed_tokens$",
        "lm_head": r"llm\.lm_head$",
    },
    layers={"vision": r"vpm\.encoder\.layers$", "language": r"llm\.model\.layers$"},
    saved_with_adapter={
        "vision": "vpm",
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
        depth={"vision": d.vision_layers, "language": d.layers},
        model_class=MODEL_CLASS,
        attention=("language",),  # the tower keeps the library's choice, whatever the whole model is told
        processor_class=PROCESSOR_CLASS,
        single_tokens=(tokens.BEGIN, tokens.HEADER, tokens.HEADER_END, tokens.TURN_END),
        padding=("right",),  # its language model is given no attention mask: what stands on the left is attended to
    )
