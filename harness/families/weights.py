"""Weights from names: every tensor's values follow from its canonical key alone.

Two library versions that draw random numbers in another order still start from the same model, and a tensor that
lands under the wrong key shows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

BASE_SHARDS = 4
_UNIT = 2.0**-53


def filled(key: str, shape: Iterable[int], centre: float | None = None) -> torch.Tensor:
    """The float32 tensor of a canonical key.

    Matrices are uniform with the variance of a variance-preserving initialisation (1 / fan-in); vectors lie around
    `centre`, without one scales (named weight or gamma) around one and biases around zero. The bits come from
    splitmix64 of the element's index, seeded by the key.
    """
    import torch

    from harness.trace.fingerprint import scrambled

    shape = tuple(shape)
    count = 1
    for size in shape:
        count *= size
    seed = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest(), "big")
    bits = scrambled(torch.arange(count, dtype=torch.int64) + (seed << 24))
    uniform = ((bits >> 11) & ((1 << 53) - 1)).to(torch.float64) * (2 * _UNIT) - 1
    if len(shape) >= 2:
        values = uniform * (3.0 / (count // shape[0])) ** 0.5
    else:
        around = centre if centre is not None else float(key.endswith(("weight", "gamma")))
        values = around + 0.05 * uniform
    tensor: torch.Tensor = values.to(torch.float32).reshape(shape)
    return tensor


def write_sharded(
    directory: Path,
    shapes: Mapping[str, tuple[int, ...]],
    shards: int = BASE_SHARDS,
    scales: Mapping[str, float] | None = None,
) -> None:
    """Write filled tensors under their canonical keys into safetensors shards with an index, as published ones are.

    `scales` names vectors that lie around another number than usual: there are norms that add one themselves.
    """
    from harness.trace.atomic import write_atomically
    from harness.trace.writer import write_safetensors

    groups: list[dict[str, torch.Tensor]] = [{} for _ in range(shards)]
    sizes = [0] * shards
    for key, shape in sorted(shapes.items()):
        smallest = sizes.index(min(sizes))
        groups[smallest][key] = filled(key, shape, (scales or {}).get(key))
        sizes[smallest] += groups[smallest][key].numel()
    weight_map = {}
    for number, tensors in enumerate(groups, start=1):
        name = f"model-{number:05d}-of-{shards:05d}.safetensors"
        write_safetensors(directory / name, tensors, metadata={"format": "pt"})
        weight_map.update(dict.fromkeys(tensors, name))
    index = {"metadata": {"total_size": 4 * sum(sizes)}, "weight_map": dict(sorted(weight_map.items()))}
    write_atomically(directory / "model.safetensors.index.json", json.dumps(index, indent=2) + "\n")
