"""The fingerprint of a large model's parameters: how fast beside a copy, and whether it is the CPU's."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from harness.machine import copy_rate
from harness.machine.clock import seconds_now
from harness.trace.fingerprint import bits, fingerprint
from harness.trace.fingerprints import EAGER, FUSED, Fingerprints, way_of, why_not_fused

REPEATS = 7
COMPARED = 40_000_000  # elements that the CPU goes through: it takes a second or two
BOUND = 0.7
SHAPES = [(1024, 4, 4), (1024, 8, 4), (2048, 2, 4), (2048, 4, 8), (2048, 8, 8), (4096, 2, 8), (4096, 4, 8)]


def shapes_of(family: str = "minicpm-llama3-v-2.5") -> list[tuple[int, ...]]:
    """The shapes of a published model's parameters."""
    from harness.families import family as known

    return [tuple(parameter.shape) for parameter in known(family).meta_model("full").parameters()]


def filled(shapes: Sequence[tuple[int, ...]], device: torch.device, dtype: torch.dtype) -> list[torch.Tensor]:
    """Tensors of these shapes with random bits."""
    generator = torch.Generator(device).manual_seed(0)

    def one(shape: tuple[int, ...]) -> torch.Tensor:
        made = torch.empty(shape, dtype=dtype, device=device)
        words = made.view(-1).view(torch.uint8)
        for at in range(0, len(words), 1 << 30):
            piece = words[at : at + (1 << 30)]
            piece.random_(0, 256, generator=generator)
        return made

    return [one(shape) for shape in shapes]


def measured(device: torch.device, shapes: Sequence[tuple[int, ...]]) -> dict[str, Any]:
    """The rate as a part of the copy's, which counts each byte twice; equality with the CPU and between ways."""
    tensors = filled(shapes, device, torch.bfloat16)
    size = sum(tensor.nbytes for tensor in tensors)
    given = Fingerprints(tensors)
    first = given()
    copy = copy_rate(device).median
    took = [_seconds(given, device) for _ in range(REPEATS)]
    found: dict[str, Any] = {
        "way": way_of(device),
        "why not fused": why_not_fused(device) if device.type == "cuda" else "on a CPU nothing is",
        "elements": sum(tensor.numel() for tensor in tensors),
        "seconds": statistics.median(took),
        "bytes per second": size / statistics.median(took),
        "copy, bytes per second": copy,
        "of the copy": size / statistics.median(took) / copy,
        "at least": BOUND,
        "equal to the CPU": all(fingerprint(tensors[at].cpu()) == first[at] for at in _some(tensors)),
        "equal to torch's operations": Fingerprints(tensors, way=EAGER)() == first,
        "dtypes equal to the CPU": _every_dtype(device),
    }
    if found["way"] == FUSED:
        found["of the copy, by shape"] = dict(_by_shape(tensors, device, size / copy))
    return found


def _some(tensors: Sequence[torch.Tensor]) -> Iterator[int]:
    """Tensors of every size, as many as the CPU can go through."""
    left, seen = COMPARED, set()
    for at, tensor in sorted(enumerate(tensors), key=lambda pair: pair[1].numel()):
        if tensor.shape not in seen and tensor.numel() <= left:
            seen.add(tensor.shape)
            left -= tensor.numel()
            yield at


def _every_dtype(device: torch.device) -> bool:
    dtypes = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8]
    dtypes += [torch.float8_e4m3fn, torch.float8_e5m2]
    tensors = [filled([(70_001,)], device, dtype)[0] for dtype in dtypes]
    tensors += [tensors[1][1:], tensors[3][:60_000].view(300, 200).t(), tensors[6][:0], tensors[6] > 100]
    return Fingerprints(tensors)() == [fingerprint(tensor.cpu()) for tensor in tensors]


def _by_shape(
    tensors: Sequence[torch.Tensor], device: torch.device, at_copy_rate: float
) -> Iterator[tuple[str, float]]:
    from harness.trace.fused_fingerprint import Fused, Shape

    for places, together, warps in SHAPES:
        kernel = Fused([bits(tensor) for tensor in tensors], 0, Shape(places, together, warps))
        kernel.sums()
        took = statistics.median(_seconds(kernel.sums, device) for _ in range(REPEATS))
        yield f"{places} places, {together} tensors, {warps} warps", at_copy_rate / took


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    before = seconds_now(device)
    work()
    return seconds_now(device) - before
