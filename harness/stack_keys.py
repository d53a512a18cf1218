"""Layer 0. Under which keys each release of transformers writes a model, and how it comes to write published ones.

Part of what stack.py is for. Before 4.52 a model has in memory the names that it is published under; later ones rename
while they load and while they save, and since 5 they may change tensors on the way.
"""

from __future__ import annotations

import re
from typing import Any

from harness.stack import release


def saved_keys(model: Any) -> dict[str, str] | None:
    """By the name of each tensor of a model's state dict, the key under which save_pretrained writes it; none where it
    writes other tensors than those in memory."""
    state = model.state_dict()
    if release("transformers") < (5, 0):
        rules = _reversed(type(model))
        return {name: _first_that_fits(name, rules) for name in state}
    from transformers.core_model_loading import revert_weight_conversion

    try:
        written = {id(tensor): key for key, tensor in revert_weight_conversion(model, state).items()}
    except Exception:  # what is converted for saving may need values, and there are none on meta
        return None
    found = {name: written[id(tensor)] for name, tensor in state.items() if id(tensor) in written}
    return found if len(found) == len(state) else None


def as_published(model: Any) -> Any:
    """The model, made to be saved under the keys that it is published with: transformers 5 puts the level back that its
    towers have lost (`vision_tower.vision_model.encoder`) only where it has taken it away while loading."""
    try:
        from transformers.conversion_mapping import get_model_conversion_mapping
        from transformers.core_model_loading import PrefixChange
    except ImportError:  # a release that loses none
        return model
    found = get_model_conversion_mapping(model, add_legacy=False)
    model._weight_conversions = [one for one in found if not isinstance(one, PrefixChange) or _lost_inside(one)]
    return model


def _lost_inside(change: Any) -> bool:
    """Whether a module inside the model has lost a level; what the whole model may lose is left as it is."""
    return bool(change.scope_prefix and change.prefix_to_remove)


def _reversed(kind: type) -> list[tuple[str, str]]:
    """The rules by which transformers 4.52 to 4.57 rename what a class of model saves, as they take them backwards."""
    from transformers import modeling_utils

    bases = kind.__mro__[:-1] if release("transformers") >= (4, 57) else (kind,)
    known = getattr(modeling_utils, "VLMS", ())
    if not any(name in base.__name__.lower() for base in bases for name in known):
        return []
    backwards = {now: published for published, now in getattr(kind, "_checkpoint_conversion_mapping", {}).items()}
    return [(now, re.sub(r"\(.*\)", "", published.lstrip("^"))) for now, published in backwards.items()]


def _first_that_fits(name: str, rules: list[tuple[str, str]]) -> str:
    for pattern, published in rules:
        renamed, count = re.subn(pattern, published, name)
        if count:
            return renamed
    return name
