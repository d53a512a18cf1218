"""The modules that a process has made, by which the owners of parameters are found."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING

from torch.nn.parameter import is_lazy

if TYPE_CHECKING:
    import torch
    from torch import nn


class LiveModules:
    """Every module made while recording, held weakly, so that the owner of a parameter can be found."""

    def __init__(self) -> None:
        self._modules: weakref.WeakKeyDictionary[nn.Module, None] = weakref.WeakKeyDictionary()  # in their order
        self._new: weakref.WeakSet[nn.Module] = weakref.WeakSet()

    def add(self, module: nn.Module) -> None:
        self._modules[module] = None
        self._new.add(module)

    def any_new(self) -> bool:
        """Whether modules were made since this was last asked, and are there: a loss may make one at each pass."""
        new, self._new = len(self._new) > 0, weakref.WeakSet()
        return new

    def add_tree(self, roots: Iterable[nn.Module]) -> None:
        """Take in models that were built before recording began, with all their parts."""
        for root in roots:
            for module in root.modules():
                self.add(module)

    def around(self, module: nn.Module) -> list[nn.Module]:
        """The outermost modules that a module is in, the largest first; none where it is in no other."""
        roots = (root for root in self._outermost() if root is not module)
        return sorted((root for root in roots if any(one is module for one in root.modules())), key=_size, reverse=True)

    def owners(self, parameters: Iterable[torch.Tensor]) -> list[nn.Module]:
        """The outermost modules that hold any of the parameters, in a stable order."""
        wanted = {id(parameter) for parameter in parameters}
        holding = [root for root in self._outermost() if any(id(p) in wanted for p in root.parameters())]
        return sorted(holding, key=_size, reverse=True)

    def _outermost(self) -> list[nn.Module]:
        live = list(self._modules)
        inside = {id(child) for module in live for child in module._modules.values() if child is not None}
        return [module for module in live if id(module) not in inside]


def _size(root: nn.Module) -> int:
    return sum(p.numel() for p in root.parameters() if not is_lazy(p))
