"""Which parameters no gradient reaches however long they train, and why: by rule, and by what the table says."""

from __future__ import annotations

import re
from typing import Any

from harness.families.library.components import Parts
from harness.families.library.overrides import Override
from harness.recipe import Component

ABOVE = "above the layer whose features are taken"
AFTER = "a norm after the layer whose features are taken"
CHOOSES = "chooses what is attended to, and no gradient goes through a choice"
POOLED = "pools a tower's features into one, which the model does not use"

UNUSED: dict[Component, str] = {
    "audio": "hears, and no sample holds a sound",
    "vision_aux": "sees films, and no sample holds one",
    "other": "draws pictures, and every sample is answered in words",
}
# After the last layer, and before nothing that is used, where features are those between layers.
_NORMS_AFTER = r"(?:post_layernorm|post_layer_norm|norm_post|final_layer_?norm)\."
_POOLERS = r"(?:head|pooler|attnpool|attention_pool)\."


def unreached(parts: Parts, config: Any, override: Override) -> dict[str, str]:
    """Regular expressions on whole paths in memory, and why no gradient arrives there."""
    found: dict[str, str] = {}
    for tower in parts.owned.get("vision", ()):
        found[rf"{re.escape(tower)}\.(?:\w+\.)?{_POOLERS}"] = POOLED
        found[rf"{re.escape(tower)}\.(?:.*\.)?video_\w+\."] = UNUSED["vision_aux"]
    found[r".*\.indexer\."] = CHOOSES
    for component, why in UNUSED.items():
        if component in parts.components:
            found[parts.prefixes(component)] = why
    layers, depth = parts.layers.get("vision"), parts.depth.get("vision", 0)
    taken = _layer_taken(config, depth)
    if layers and taken is not None:
        above = "|".join(str(layer) for layer in range(taken, depth))
        if above:
            found[rf"{re.escape(layers)}\.(?:{above})\."] = ABOVE
        beside = re.escape(layers.rpartition(".")[0].rpartition(".")[0])
        found[rf"{beside}\.(?:\w+\.)?{_NORMS_AFTER}"] = AFTER
    for pattern, why in (override.unreached | override.residue).items():
        found[rf".*(?:{_with_last_layers(pattern, parts)})"] = why
    return found


def _with_last_layers(pattern: str, parts: Parts) -> str:
    for component, depth in parts.depth.items():
        pattern = pattern.replace(f"{{last {component}}}", str(depth - 1))
    return pattern


def _layer_taken(config: Any, depth: int) -> int | None:
    """How many layers lie below the features that are taken, where they are those between layers."""
    own = vars(config)
    value = own.get("vision_feature_layer", own.get("vision_feature_layers"))
    if value is None or not depth:
        return None
    taken: list[int] = [
        one + depth + 1 if one < 0 else one for one in (value if isinstance(value, (list, tuple)) else [value])
    ]
    return max(taken)
