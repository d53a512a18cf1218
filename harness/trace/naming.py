"""From the path a parameter has in memory to the canonical key under which its model is published.

Standard library only. The two differ by library version and by wrapper: LLaVA in transformers 5.23 shares not one
name with its own checkpoint, and peft, DDP and torch.compile each put a prefix before everything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_WRAPPERS = re.compile(
    r"^(?:(?:module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.|base_model\.model\.)+"
)
_INSIDE = re.compile(
    r"\.(?:base_layer|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)(?=\.|$)|\.modules_to_save\.[^.]+(?=\.|$)"
)


class Naming:
    """Rules of one family: renames (regular expression to replacement, on paths without wrappers, first match
    wins) and components (regular expression on canonical keys to component, first match wins)."""

    def __init__(self, renames: Sequence[Sequence[str]] = (), components: Sequence[Sequence[str]] = ()) -> None:
        self.renames = tuple((str(a), str(b)) for a, b in renames)
        self.components = tuple((str(a), str(b)) for a, b in components)
        self._renames = [(re.compile(pattern), new) for pattern, new in self.renames]
        self._components = [(re.compile(pattern), name) for pattern, name in self.components]
        self._known: dict[str, str] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Naming) and (self.renames, self.components) == (other.renames, other.components)

    def __hash__(self) -> int:
        return hash((self.renames, self.components))

    def __bool__(self) -> bool:
        """Whether there is any rule."""
        return bool(self.renames or self.components)

    def canonical(self, path: str) -> str:
        """The published key of a parameter's or module's path."""
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = self._renamed(unwrapped(path))
        return known

    def _renamed(self, path: str) -> str:
        for pattern, new in self._renames:
            renamed, count = pattern.subn(new, path, count=1)
            if count:
                return renamed
        return path

    def component(self, key: str) -> str:
        """The component of a canonical key, `other` when no rule knows it."""
        for pattern, name in self._components:
            if pattern.match(key):
                return name
        return "other"

    def to_json(self) -> dict[str, Any]:
        return {"renames": [list(r) for r in self.renames], "components": [list(c) for c in self.components]}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Naming:
        return cls(value.get("renames", ()), value.get("components", ()))


def unwrapped(path: str) -> str:
    """The path without what DDP, FSDP, activation checkpoints, torch.compile and peft put around modules."""
    return _INSIDE.sub("", _WRAPPERS.sub("", path))
