"""Layer 1. The device that a recipe trains on: getting a process ready for it, and putting models and batches there.

A model is built, loaded and tuned on the CPU, as scripts do it, and moves before its optimizer is made. Whatever is
written is written from the CPU's memory. Imports torch only inside functions.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from harness import stack
from harness.launch.parents import job_environment
from harness.recipe import Recipe

if TYPE_CHECKING:
    import torch

# Products of matrices are added up in the same order each time only with a workspace of their own (cuBLAS).
ENVIRONMENT = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
_ASK = (
    "import torch; cuda = torch.version.cuda; seen = torch.cuda.is_available();"
    "print('' if seen else f'torch {torch.__version__} ' + ('sees no GPU' if cuda else 'is built without CUDA'))"
)


def device_of(recipe: Recipe) -> torch.device:
    """Where a recipe's model lies while it trains: of several GPUs the first that this process may see."""
    import torch

    return torch.device("cpu") if recipe.device == "cpu" else torch.device(recipe.device, 0)


def prepare(recipe: Recipe) -> None:
    """Make this process ready for a recipe: one thread, the seed, TF32 as it says, and on a GPU the same bits again."""
    import torch

    torch.set_num_threads(1)
    if recipe.device == "cuda":
        os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    repeatable(recipe.device, recipe.tf32)
    torch.manual_seed(recipe.seed)


def repeatable(device: str, tf32: bool) -> None:
    """TF32 as asked for; on a GPU kernels that give the same bits each time, as far as there are such."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    if device != "cpu":
        os.environ.update(ENVIRONMENT)
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = False


def moved(value: Any, device: torch.device) -> Any:
    """A nested value with its tensors on a device; on the CPU the value itself."""
    if device.type == "cpu":
        return value
    from harness.trace.nested import mapped

    return mapped(value, lambda tensor: tensor.to(device))


def placed(model: Any, recipe: Recipe) -> Any:
    """The model where it is to train."""
    device = device_of(recipe)
    return model if device.type == "cpu" else model.to(device)


def type_of(model: Any) -> str:
    """The type of the device on which a model lies."""
    kind: str = next(model.parameters()).device.type
    return kind


def environment(recipe: Recipe) -> dict[str, Any]:
    """What a trace must say about where it was made, the GPU included."""
    known = stack.environment()
    if recipe.device == "cpu":
        return known
    import torch

    gpu = torch.cuda.get_device_properties(device_of(recipe))
    facts = {"name": gpu.name, "capability": f"{gpu.major}.{gpu.minor}", "memory": gpu.total_memory}
    return {**known, "device": recipe.device, "gpu": facts, "cuda": torch.version.cuda}


@cache
def why_no_cuda() -> str | None:
    """Why nothing can be trained on a GPU here; None where it can. Asked in a process of its own: one that has looked
    for a GPU can no longer be forked, and whoever collects recipes imports no torch."""
    if not stack.has("torch"):
        return "torch is not installed"
    asked = subprocess.run(
        [sys.executable, "-c", _ASK], check=False, capture_output=True, text=True, env=job_environment()
    )
    return asked.stdout.strip() or None if asked.returncode == 0 else "torch cannot be imported"
