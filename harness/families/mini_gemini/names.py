"""The names of Mini-Gemini's parts: published keys, the component of each, and the native names fine-tuning code uses.

In memory they are those of the checkpoint, but for CLIP's own prefix, which some releases of transformers leave out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from harness.checkpoint.towers import Tower
from harness.families.family import Handles
from harness.families.mini_gemini.dimensions import SELECT_LAYER, Dimensions, Kind
from harness.families.promises import Tables


@dataclass(frozen=True)
class Classes:
    """The classes of the code files for one language model."""

    configuration: str
    model: str


CLASSES: dict[Kind, Classes] = {
    "llama": Classes("MGMConfig", "MGMLlamaForCausalLM"),
    "gemma": Classes("MGMGemmaConfig", "MGMGemmaForCausalLM"),
    "mixtral": Classes("MGMMixtralConfig", "MGMMixtralForCausalLM"),
}
PROCESSOR_CLASS = "MGMProcessor"
PROJECTORS = ("mm_projector", *(f"vlm_uni_{name}_projector" for name in ("query", "aux", "val")))

_CLIP = "model.vision_tower.vision_tower.vision_model"
_AUX = r"model\.vision_tower_aux\.vision_stages\."
RENAMES = ((r"^model\.vision_tower\.vision_tower(?:\.vision_model)?(?=\.|$)", _CLIP),)
COMPONENTS = (
    (r"model\.vision_tower\.", "vision"),
    (r"model\.vision_tower_aux\.", "vision_aux"),
    (r"model\.(?:mm_projector|vlm_uni_\w+)\.", "connector"),
    (r"model\.embed_tokens\.", "embeddings"),
    (r"lm_head\.", "lm_head"),
    (r"model\.(?:layers|norm)\.", "language"),
)
LAYERS = {
    "vision": r"model\.vision_tower\.vision_tower\.vision_model\.encoder\.layers\.{layer}\.",
    "language": r"model\.layers\.{layer}\.",
}
TIED = ("model.embed_tokens.weight", "lm_head.weight")
HANDLES = Handles(
    components={
        "vision": r"model\.vision_tower$",
        "vision_aux": r"model\.vision_tower_aux$",
        "connector": rf"model\.(?:{'|'.join(PROJECTORS)})$",
        "language": r"model\.(?:layers|norm)$",
        "embeddings": r"model\.embed_tokens$",
        "lm_head": r"lm_head$",
    },
    layers={
        "vision": r"model\.vision_tower\.vision_tower\.(?:vision_model\.)?encoder\.layers$",
        "vision_aux": r"model\.vision_tower_aux\.vision_stages\.\d+\.blocks$",
        "language": r"model\.layers$",
    },
    saved_with_adapter={
        "vision": "model.vision_tower",
        "vision_aux": "vision_tower_aux",
        "connector": PROJECTORS,
        "embeddings": "embed_tokens",
        "lm_head": "lm_head",
    },
    # Chosen by words in keys: a first stage's file holds the towers too, though they stay frozen.
    in_projector_file={
        "connector": ("mm_projector", "vlm_uni"),
        "vision": ("vision_tower",),
        "vision_aux": ("vision_tower_aux",),
    },
    towers=(
        Tower(
            component="vision",
            setting="mm_vision_tower",
            kept="optimize_vision_tower",
            module=r"model\.vision_tower\.vision_tower$",
            file="model.safetensors",
            renames=((r"^(?:vision_model\.)?", "vision_model."),),
        ),
        Tower(
            component="vision_aux",
            setting="mm_vision_tower_aux",
            kept="optimize_vision_tower_aux",
            module=r"model\.vision_tower_aux$",
            file="open_clip_pytorch_model.bin",
            renames=((r"^vision_stem\.", "visual.trunk.stem."), (r"^vision_stages\.", "visual.trunk.stages.")),
        ),
    ),
)


def last_blocks(d: Dimensions, count: int) -> str:
    """The last blocks of each stage of the second tower, as a part of their keys."""
    of_stages = [
        rf"{number}\.blocks\.(?:{'|'.join(str(block) for block in range(max(0, depth - count), depth))})\."
        for number, depth in enumerate(d.aux.depths)
    ]
    return rf"{_AUX}(?:{'|'.join(of_stages)})"


def scales(d: Dimensions, keys: Iterable[str]) -> dict[str, float]:
    """What the weights of norms lie around, where not one: Gemma's norms add one themselves."""
    norms = (key for key in keys if re.fullmatch(r"model\.(?:layers\.\d+\.\w+norm|norm)\.weight", key))
    return dict.fromkeys(norms, 0.0) if d.kind == "gemma" else {}


def tables(d: Dimensions) -> Tables:
    """The published facts of a size that an intent is made from."""
    reached = d.clip.layers + 1 + SELECT_LAYER
    beyond = "|".join(str(layer) for layer in range(reached, d.clip.layers))
    return Tables(
        components=COMPONENTS,
        renames=RENAMES,
        layers=LAYERS,
        depth={"vision": d.clip.layers, "language": d.layers},
        out_of_reach=(
            LAYERS["vision"].format(layer=f"(?:{beyond})"),
            r"model\.vision_tower\.vision_tower\.vision_model\.post_layernorm\.",
        ),
        ties=(TIED,) if d.tied else (),
        image_components=("vision", "vision_aux", "connector"),
        in_projector_file=("vision", "vision_aux", "connector"),
        model_class=CLASSES[d.kind].model,
        attention=("language",),  # the towers are made by themselves, and keep what the library chooses
        processor_class=PROCESSOR_CLASS,
    )
