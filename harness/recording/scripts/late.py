"""Models that are wrapped, or given parts, after they met their optimizer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.recording.found import inside_wrapper, is_adapted
from harness.recording.live_modules import LiveModules
from harness.recording.scripts.readable import unreadable

if TYPE_CHECKING:
    from torch import nn

    from harness.recording.found import FoundModel


class LateParts:
    """Looks where modules were made since it looked last."""

    def __init__(self, live: LiveModules) -> None:
        self._live = live

    def of(self, models: list[FoundModel]) -> Iterator[tuple[FoundModel, nn.Module, list[str]]]:
        """Each model that is another now, its outermost module, and the names of the parameters that came."""
        for model in list(models) if self._live.any_new() else ():
            known, root = set(map(id, model.parameters)), self._outermost(model)
            late = [(name, p) for name, p in root.named_parameters() if id(p) not in known and not unreadable(p)]
            if late or (root is not model.root and any(map(is_adapted, root.modules()))):
                yield model, root, [name for name, _ in late]

    def _outermost(self, model: FoundModel) -> nn.Module:
        owners = self._live.owners(model.parameters[:1])
        return inside_wrapper(owners[0]) if owners else model.root
