"""What is put around a model to train it, and is not the model."""

from __future__ import annotations

from torch import nn


def inside_wrapper(root: nn.Module) -> nn.Module:
    """The model that a wrapper has been put around, one for several processes or Lightning's: its names are those of
    the model alone, and its forward is the one that is called."""
    while True:
        if isinstance(root, nn.parallel.DistributedDataParallel) or is_deepspeed_engine(root):
            root = root.module  # type: ignore[assignment]
        elif is_lightning_module(root) and (alone := _only_child(root)) is not None:
            root = alone
        else:
            return root


def _only_child(root: nn.Module) -> nn.Module | None:
    """The one part of a module that all its parameters are in."""
    holding = [child for child in root.children() if next(child.parameters(), None) is not None]
    own = next(root.parameters(recurse=False), None)
    return holding[0] if len(holding) == 1 and own is None else None


def is_lightning_module(module: nn.Module) -> bool:
    """Whether it is Lightning's, under either of its names, told without importing it."""
    return any(
        kind.__qualname__ == "LightningModule" for kind in type(module).__mro__ if "lightning" in kind.__module__
    )


def is_deepspeed_engine(module: nn.Module) -> bool:
    """Whether it is DeepSpeed's, told without importing it."""
    return any(kind.__module__ == "deepspeed.runtime.engine" for kind in type(module).__mro__)
