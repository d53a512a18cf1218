"""Looks inside the first forward and backward: compute dtypes per kind of module, and recomputed layers.

The hooks stay for one forward and its backward only, so that every other step costs nothing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from harness.recording.found import kind_of


class LayerWatch:
    """Hooks on every module of a model that holds parameters of its own."""

    def __init__(self, root: nn.Module) -> None:
        self.in_backward = False
        self.dtypes: dict[str, set[str]] = {}
        self.recomputed: dict[str, int] = {}
        self._handles: list[Any] = []
        for module in root.modules():
            if next(module.parameters(recurse=False), None) is not None:
                self._handles.append(module.register_forward_hook(self._seen))

    def _seen(self, module: nn.Module, _inputs: Any, output: Any) -> None:
        kind = kind_of(module).rpartition(".")[2]
        if self.in_backward:
            self.recomputed[kind] = self.recomputed.get(kind, 0) + 1
        elif isinstance(output, torch.Tensor):
            self.dtypes.setdefault(kind, set()).add(str(output.dtype).split(".")[-1])

    def dtypes_by_kind(self) -> dict[str, list[str]]:
        """The dtypes of the outputs of each kind of layer: what was really computed in."""
        return {kind: sorted(found) for kind, found in sorted(self.dtypes.items())}

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []
