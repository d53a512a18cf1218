"""Models that are wrapped, or given parts, after they met their optimizer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.recording.adapted import is_adapted
from harness.recording.flat_parts import FlatPart, held_in_place, named_parts
from harness.recording.found import begin_of
from harness.recording.live_modules import LiveModules
from harness.recording.scripts.readable import unfollowed
from harness.recording.wrappers import inside_wrapper

if TYPE_CHECKING:
    from torch import nn

    from harness.recording.found import FoundModel


class LateParts:
    """Looks where modules were made since it looked last."""

    def __init__(self, live: LiveModules) -> None:
        self._live = live
        self._begin: dict[str, int] = {}  # by model, what its first parameter was when it was looked at last

    def of(self, models: list[FoundModel]) -> Iterator[tuple[FoundModel, nn.Module, list[str]]]:
        """Each model that is another now, its outermost module, and the names of the parameters that came."""
        new = self._live.any_new()
        for model in list(models):
            if not (self._has_others(model) or new):
                continue
            root = self._outermost(model)
            parts = {id(part): (name, part) for name, part in reversed(list(named_parts(root)))}
            came = [(name, part) for name, part in parts.values() if id(held_in_place(part)) not in model.index]
            late = [name for name, part in reversed(came) if not unfollowed(part)]
            flat = any(isinstance(part, FlatPart) for _, part in parts.values())
            wrapped = root is not model.root and any(map(is_adapted, root.modules()))
            if late or wrapped or (flat and not model.apart):
                yield model, root, late

    def _outermost(self, model: FoundModel) -> nn.Module:
        around = self._live.around(model.root)
        return inside_wrapper(around[0]) if around else model.root

    def _has_others(self, model: FoundModel) -> bool:
        """Whether the model has another parameter where its first was: what shards a model may make no module."""
        before, self._begin[model.ident] = self._begin.get(model.ident, model.begins), begin_of(model.root)
        return before != self._begin[model.ident]
