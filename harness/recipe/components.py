"""The roles a parameter can have in a vision-language model.

Components partition the parameters: each parameter is in exactly one. Unions have names too, so that a
recipe can say `llm` and mean the language layers, the embeddings and the head.
"""

from __future__ import annotations

from typing import Literal, get_args

Component = Literal["vision", "vision_aux", "audio", "connector", "language", "embeddings", "lm_head", "other"]
COMPONENTS: tuple[Component, ...] = get_args(Component)

UNIONS: dict[str, tuple[Component, ...]] = {
    "all": COMPONENTS,
    "llm": ("language", "embeddings", "lm_head"),
    "towers": ("vision", "vision_aux", "audio"),
}


def expand(name: str) -> tuple[Component, ...]:
    """The components a name stands for: itself, or the members of a union.

    Raises ValueError, naming what there is, for an unknown name.
    """
    if name in UNIONS:
        return UNIONS[name]
    for component in COMPONENTS:
        if component == name:
            return (component,)
    raise ValueError(f"no component {name!r}; there are {', '.join((*COMPONENTS, *UNIONS))}")
