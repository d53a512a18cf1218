"""The modules of a base directory, without its weights and without running code that it brings along."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from harness.checkpoint.json_files import CONFIG, entries
from harness.checkpoint.roles import CODE, roles


@dataclass(frozen=True)
class ModuleTree:
    """The paths of all modules, and the shape of each parameter by its name."""

    paths: frozenset[str]
    shapes: dict[str, tuple[int, ...]]


def module_tree(base: Path) -> ModuleTree | None:
    """Built on the meta device from the configuration alone; None where transformers has no such model, or is not here.

    Names in a checkpoint are not always the paths of modules: transformers renames some as it loads and saves.
    """
    classes = entries(base / CONFIG).get("architectures")
    if CODE in roles(base) or not isinstance(classes, list) or not classes:
        return None
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        import torch
        import transformers

        from harness import stack

        stack.quiet()
        config = transformers.AutoConfig.from_pretrained(base, trust_remote_code=False)
        with torch.device("meta"):
            model = getattr(transformers, classes[0])(config)
    except Exception:  # whatever a configuration that is not ours makes the libraries raise
        return None
    paths = frozenset(path for path, _ in model.named_modules())
    return ModuleTree(paths, {name: tuple(parameter.shape) for name, parameter in model.named_parameters()})
