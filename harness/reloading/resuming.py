"""What a native loop would go on from: the dtypes in the file that it left beside the weights."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from harness.checkpoint.files import RESUME


def resume_facts(directory: Path) -> dict[str, Any] | None:
    """How many tensors of each dtype are weights and how many the optimizer's; None where there is no such file.

    Read without running code in it: torch raises for a file that cannot be.
    """
    import torch

    file = next(iter(sorted(directory.glob(f"*{RESUME}"))), None)
    if file is None:
        return None
    content = torch.load(file, map_location="cpu", weights_only=True)
    moments = [tensor for state in content["optimizer"]["state"].values() for tensor in state.values()]
    return {
        "file": file.name,
        "weights": _dtypes(content["model"].values()),
        "moments": _dtypes(tensor for tensor in moments if tensor.dim()),  # a count of steps has none
    }


def _dtypes(tensors: Any) -> dict[str, int]:
    return dict(Counter(str(tensor.dtype).removeprefix("torch.") for tensor in tensors))
