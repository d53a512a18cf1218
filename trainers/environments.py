"""The environment of each trainer: a layer over this one, made once and kept, as stacks of other libraries are."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from harness.stacks import AskedStack, Layered, Layers
from trainers.asked import Layer

# What has no wheel is built against the torch that is here, and compiles nothing before it is needed.
BUILDING = {"PIP_NO_BUILD_ISOLATION": "1", "DS_BUILD_OPS": "0"}
COMPILED = ("torchaudio/lib",)  # built for CUDA: a CPU torch cannot load them, and their packages do without


def environment(name: str, layer: Layer, layers: Layers | None = None) -> Layered:
    """A trainer's layer, from the cache or built now. Raises Refused for one that cannot be had."""
    os.environ.update(BUILDING)
    layers = layers or Layers(say=lambda line: print(line, flush=True))
    asked = AskedStack(name=name, versions=layer.versions, brings=layer.brings, without=layer.without)
    layered = layers.one(asked)
    if layered.folder is not None and _cpu_alone():
        for part in COMPILED:
            shutil.rmtree(layered.folder / part, ignore_errors=True)
    return layered


def _cpu_alone() -> bool:
    import torch

    return torch.version.cuda is None


def versions_in(folder: Path | None, names: tuple[str, ...]) -> dict[str, str]:
    """The versions of distributions in force in a layer, or here where it does not hold them."""
    from importlib import metadata

    from packaging.utils import canonicalize_name

    found = {canonicalize_name(one.metadata["Name"]): one.version for one in metadata.distributions()}
    if folder is not None:
        over = metadata.distributions(path=[str(folder)])
        found |= {canonicalize_name(one.metadata["Name"]): one.version for one in over}
    return {name: found[canonicalize_name(name)] for name in names}
