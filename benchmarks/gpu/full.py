"""One published configuration with random weights, trained for ten steps, bare and recorded, in a process of its own.

python -m benchmarks.gpu.full FAMILY lora|full     # prints one line of JSON
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.host_adamw import HostAdamW
from benchmarks.gpu.models import STEPS, batch_of, built, recipe_of
from harness.machine import device_kind, matmul_rate
from harness.machine.clock import seconds_now
from harness.recipe import Recipe

WARM_UP = 2
ROWS, LENGTH = 4, 1024
CLIP = 1.0
RATE = 1e-3  # weights in bf16: of a smaller one most steps would be lost to rounding


def measured(
    family: str, mode: str, size: str = "full", device: str = "cuda", rows: int = ROWS, length: int = LENGTH
) -> dict[str, Any]:
    """Ten steps bare, ten recorded: times, model FLOPs of the matmul rate, peak memory beside the estimate, checks."""
    import harness

    place = torch.device(device)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    recipe = recipe_of(family, mode)
    model = built(family, recipe, size, place).train()
    batch = batch_of(family, size, rows, length, place)
    step = _step_of(family, model, batch)
    flops = _flops(family, model, batch)
    bare = _timed(step, _optimizer(model, mode), place)
    peak = torch.cuda.max_memory_allocated() if place.type == "cuda" else None
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace"
        with harness.record(trace, _promise(recipe), models=[model]):
            recorded = _timed(step, _optimizer(model, mode), place)
        results = harness.check(trace)
        statuses = sorted({result.status.value for result in results})
        counted = {status: sum(result.status.value == status for result in results) for status in statuses}
        failed = [
            f"{result.check}: {result.reason}" for result in results if result.status.value in ("failed", "blocked")
        ]
    rate = matmul_rate(place, torch.bfloat16).median
    seconds = statistics.median(bare)
    return {
        "family": family,
        "mode": mode,
        "size": size,
        "device": device_kind(place),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "trained": sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
        "tokens": rows * length,
        "seconds of a step": seconds,
        "recorded over bare": statistics.median(recorded) / seconds,
        "model FLOPs of a step": flops,
        "utilisation": flops / seconds / rate,
        "matmul, FLOP per second": rate,
        "peak bytes": peak,
        "estimated bytes": _estimated(family, model, mode, rows * length),
        "checks": counted,
        "failed": failed,
    }


def _optimizer(model: Any, mode: str) -> torch.optim.Optimizer:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return HostAdamW(trained, lr=RATE) if mode == "full" else torch.optim.AdamW(trained, lr=RATE)


def _step_of(family: str, model: Any, batch: dict[str, Any]) -> Callable[[torch.optim.Optimizer], None]:
    from harness.families import family as known

    chosen = known(family)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def step(optimizer: torch.optim.Optimizer) -> None:
        loss: Any = chosen.loss(model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, CLIP)
        optimizer.step()
        optimizer.zero_grad()

    return step


def _timed(
    step: Callable[[torch.optim.Optimizer], None], optimizer: torch.optim.Optimizer, device: torch.device
) -> list[float]:
    """Seconds of each step after those that warm up."""
    seconds = []
    for _ in range(STEPS):
        before = seconds_now(device)
        step(optimizer)
        seconds.append(seconds_now(device) - before)
    return seconds[WARM_UP:]


def _flops(family: str, model: Any, batch: dict[str, Any]) -> int:
    """Of one step, with no layer computed twice: of one sample, where the whole batch would not fit so."""
    from harness import stack
    from harness.families import family as known
    from harness.measuring.bare import Bare
    from harness.measuring.flops import flops_of_steps

    one = {name: value[:1] for name, value in batch.items()}
    (counted,) = flops_of_steps(Bare(model, known(family).loss), [[one]])
    stack.turn_on_checkpointing(model)
    return counted * len(batch["input_ids"])


def _promise(recipe: Recipe) -> Any:
    """What the recipe promises of a run that is a training alone: nothing of data, bases, saving and probes."""
    from harness.families import family_of

    intent = family_of(recipe).intent(recipe)
    kept = {
        "adapter",
        "components",
        "fixed",
        "mechanisms",
        "out_of_reach",
        "renames",
        "steps",
        "ties",
        "trains",
        "weights",
    }
    return {
        name: value for name, value in intent.model_dump(mode="json", exclude_defaults=True).items() if name in kept
    }


def _estimated(family: str, model: Any, mode: str, tokens: int) -> int:
    """Weights and gradients in 16 bits, moments where they are kept on the device, and activations."""
    from harness.families import family as known
    from harness.memory.counts import Counts, text_of

    counts = Counts.of(model, text_of(known(family), model))
    of_trained = 4 if mode == "full" else 8
    activations = counts.text.activations(tokens) if counts.text else 0
    return of_trained * counts.trained + 2 * counts.frozen + activations


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1], sys.argv[2])))
