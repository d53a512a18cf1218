"""The class that a configuration names, built without memory or weights: which tensors would it save?

Needs torch and transformers, and takes the seconds that importing them takes. Code that a directory brings along is
never run.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from harness.checkpoint.inspecting.case import NotJudged
from harness.checkpoint.json_files import CONFIG, entries


def built(directory: Path) -> tuple[dict[str, tuple[int, ...]], frozenset[str]]:
    """Name to shape of what it saves, and the names that may be missing. Raises NotJudged."""
    classes = entries(directory / CONFIG).get("architectures")
    if not isinstance(classes, list) or not classes or not isinstance(classes[0], str):
        raise NotJudged("its configuration names no class (architectures): name its base with --base")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        import torch
        import transformers

        from harness import stack
    except ImportError as error:
        raise NotJudged(f"{error.name} is not installed: name its base with --base") from None
    stack.quiet()
    kind = getattr(transformers, classes[0], None)
    if kind is None:
        raise NotJudged(f"transformers {transformers.__version__} has no {classes[0]}: name its base with --base")
    try:
        config = transformers.AutoConfig.from_pretrained(directory, trust_remote_code=False)
        with torch.device("meta"):
            model = kind(config)
        return _saved_names(model)
    except Exception as error:  # whatever a configuration that is not ours makes the libraries raise
        said = str(error).splitlines() or [""]
        raise NotJudged(f"{classes[0]} cannot be built from it ({type(error).__name__}: {said[0][:120]})") from None


def _saved_names(model: Any) -> tuple[dict[str, tuple[int, ...]], frozenset[str]]:
    """transformers 5 saves tensors under the names under which they were published, not those in memory."""
    state = dict(model.state_dict())
    ties = getattr(
        model, "all_tied_weights_keys", None
    )  # of transformers 5: those that are tied, not those that may be
    if ties is None:
        ties = (getattr(model, "_tied_weights_keys", None) or ()) if model.config.tie_word_embeddings else ()
    tied = {name: state[name] for name in ties if name in state}
    try:
        from transformers.core_model_loading import revert_weight_conversion
    except ImportError:
        saved, again = state, tied
    else:
        saved = revert_weight_conversion(model, state)
        again = revert_weight_conversion(model, tied) if tied else {}
    shapes = {name: tuple(tensor.shape) for name, tensor in saved.items()}
    return shapes, frozenset(again)
