"""The names of MiniCPM-V 2.0's parts. In memory they are those of the checkpoint: nothing is renamed."""

from __future__ import annotations

from dataclasses import replace

from harness.families.minicpm import names
from harness.families.minicpm.v20.dimensions import Dimensions
from harness.families.promises import Tables

LAYERS = {**names.LAYERS, "vision": r"vpm\.blocks\.{layer}\."}
HANDLES = replace(names.HANDLES, layers={**names.HANDLES.layers, "vision": r"vpm\.blocks$"})
FIXED = (r"resampler\.pos_embed$",)


def tables(d: Dimensions) -> Tables:
    """The published facts of a size that an intent is made from. The resampler's positions never train."""
    return Tables(
        components=names.COMPONENTS,
        renames=(),
        layers=LAYERS,
        depth={"vision": d.vision_layers - 1, "language": d.layers},
        fixed=FIXED,
        model_class=names.MODEL_CLASS,
        attention=("language",),
        processor_class=names.PROCESSOR_CLASS,
        single_tokens=("</s>",),  # of the script's marks for the speakers the tokenizer makes several
        padding=("right",),  # its language model is given no attention mask: what stands on the left is attended to
    )
