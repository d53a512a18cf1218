"""Looks inside the first forward and backward: what each layer computes in, and recomputed layers.

The hooks stay for one forward and its backward only, so that every other step costs nothing.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

_SHARDED = re.compile(r"torch\.distributed\.(fsdp(\._fully_shard\b.*)?|_composable\.fsdp\b.*)$")


class LayerWatch:
    """Hooks on every module of a model that holds parameters of its own."""

    def __init__(self, root: nn.Module) -> None:
        self.in_backward = False
        self.recomputed: dict[str, int] = {}
        self._rows: dict[tuple[str, str, str | None, str], None] = {}
        self._handles: list[Any] = []
        alone = next(root.children(), None) is None  # a layer that is the model: seen before the forward is told of
        for path, module in root.named_modules():
            if next(module.parameters(recurse=False), None) is not None:
                seen = functools.partial(self._seen, path)
                self._handles.append(module.register_forward_hook(seen, prepend=alone))

    def _seen(self, path: str, module: nn.Module, inputs: Any, output: Any) -> None:
        kind = kind_of(module).rpartition(".")[2]
        if self.in_backward:
            self.recomputed[kind] = self.recomputed.get(kind, 0) + 1
            return
        gives = _dtype(output if isinstance(output, tuple) else (output,))
        if gives is not None:
            self._rows[path, kind, _dtype(inputs), gives] = None

    def dtypes_by_kind(self) -> dict[str, list[str]]:
        """The dtypes of the outputs of each kind of layer: what was really computed in."""
        kinds = sorted({kind for _, kind, _, _ in self._rows})
        return {kind: sorted({gives for _, of, _, gives in self._rows if of == kind}) for kind in kinds}

    def columns(self) -> dict[str, list[Any]]:
        """Each layer in the order of its first call: path, kind, dtype of what it takes and of what it gives."""
        rows = list(self._rows)
        return {name: [row[at] for row in rows] for at, name in enumerate(("path", "kind", "takes", "gives"))}

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []


def kind_of(module: Any) -> str:
    """The class of a module or optimizer with its package: by this a check recognises an adapter or a layer."""
    kind = class_of(module)
    return f"{kind.__module__}.{kind.__qualname__}"


def class_of(module: Any) -> type:
    """The class that a module was written as: fully_shard puts one of its own before it."""
    return next(kind for kind in type(module).__mro__ if not _SHARDED.match(kind.__module__))


def attention_of(modules: Iterable[tuple[str, nn.Module]]) -> dict[str, str]:
    """How each layer of attention that asks its configuration is computed, by path: what is in force, not what was
    asked for."""
    layers = (
        (path, getattr(module, "config", None)) for path, module in modules if "Attention" in type(module).__name__
    )
    found = ((path, getattr(config, "_attn_implementation", None)) for path, config in layers)
    return {path: str(implementation) for path, implementation in found if implementation}


def _dtype(values: Iterable[Any]) -> str | None:
    """The dtype of the first tensor of floating point."""
    floating = (value for value in values if isinstance(value, torch.Tensor) and value.is_floating_point())
    found = next(floating, None)
    return None if found is None else str(found.dtype).split(".")[-1]


def tf32() -> dict[str, bool | None]:
    """Whether products and convolutions of fp32 may be computed in TF32; None where torch will not say."""
    backends: dict[str, Any] = {"matmul": torch.backends.cuda.matmul, "cudnn": torch.backends.cudnn}
    allowed: dict[str, bool | None] = {}
    for name, backend in backends.items():
        try:
            allowed[name] = bool(backend.allow_tf32)
        except RuntimeError:  # it was set through torch's newer names, which the older ones cannot express
            allowed[name] = None
    return allowed
