"""How fast a device multiplies matrices and copies memory, measured: what a training's own rate is a fraction of.

A rate is asked of the machine in the run that is judged by it, once for each dtype, and is remembered as long as the
process lives. It takes 0.02 to 0.2 s on a CPU, half a second for fp16 where that is emulated.
"""

from __future__ import annotations

import functools
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from harness.machine.clock import own_seconds

REPEATS = 7
BURST = {"cpu": 0.004, "cuda": 0.02}  # seconds that one measurement should take: long against the clock and a launch
LARGEST = {"cpu": 1024, "cuda": 16384}  # rows: beyond, no device gets faster
COPIED = {"cpu": 64 * 2**20, "cuda": 512 * 2**20}  # bytes: more than caches hold
_SMALLEST = 128
_SHORTEST = 1e-7  # seconds, of the clock


@dataclass(frozen=True)
class Rate:
    """So much per second, in each of several measurements."""

    unit: str
    repeats: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.repeats)

    @property
    def spread(self) -> float:
        """The median distance from the median, as a part of it: no single outlier moves it."""
        middle = self.median
        return statistics.median(abs(one - middle) for one in self.repeats) / middle

    def to_json(self) -> dict[str, Any]:
        return {"unit": self.unit, "median": self.median, "spread": self.spread, "repeats": list(self.repeats)}


def matmul_rate(device: Any, dtype: torch.dtype) -> Rate:
    """Floating-point operations per second of a large matrix product: two for each multiplication and addition.

    In fp32 by whatever is in force: with TF32 allowed, in that.
    """
    device = torch.device(device)
    return _matmul_rate(device, dtype, torch.backends.cuda.matmul.allow_tf32, torch.get_num_threads())


def copy_rate(device: Any) -> Rate:
    """Bytes per second that a copy within the device's memory moves: each is read and written."""
    return _copy_rate(torch.device(device), torch.get_num_threads())


def matmul_bursts(device: Any, dtype: torch.dtype) -> Callable[[], float]:
    """What measures the rate of a matrix product now: the best of a few, in about 15 ms on a CPU."""
    device = torch.device(device)
    burst, operations = _burst(device, dtype, torch.backends.cuda.matmul.allow_tf32, torch.get_num_threads())
    return lambda: max(operations / _seconds(burst, device) for _ in range(3))


@functools.cache
def _matmul_rate(device: torch.device, dtype: torch.dtype, tf32: bool, threads: int) -> Rate:
    burst, operations = _burst(device, dtype, tf32, threads)
    return Rate("FLOP/s", tuple(operations / _seconds(burst, device) for _ in range(REPEATS)))


@functools.cache
def _burst(device: torch.device, dtype: torch.dtype, tf32: bool, threads: int) -> tuple[Callable[[], object], int]:
    """A product that takes long enough to be measured, and how many operations it has."""
    rows, took = _SMALLEST // 2, 0.0
    while took < _of(BURST, device) and rows < _of(LARGEST, device):
        rows *= 2
        burst = _product(rows, device, dtype)
        burst()  # the first finds its kernel
        took = _seconds(burst, device)
    return burst, 2 * rows**3


@functools.cache
def _copy_rate(device: torch.device, threads: int) -> Rate:
    size = _of(COPIED, device)
    source, target = (torch.zeros(size, dtype=torch.uint8, device=device) for _ in range(2))

    def burst() -> object:
        return target.copy_(source)

    burst()
    return Rate("byte/s", tuple(2 * size / _seconds(burst, device) for _ in range(REPEATS)))


def _product(rows: int, device: torch.device, dtype: torch.dtype) -> Callable[[], object]:
    generator = torch.Generator(device).manual_seed(0)  # of its own: no random number of the run's is drawn
    left, right = (
        torch.rand(rows, rows, device=device, generator=generator).to(dtype) for _ in range(2)
    )  # no zeros: a GPU that multiplies them draws less power and is faster
    out = torch.empty_like(left)

    def burst() -> object:
        with torch.no_grad():
            return torch.mm(left, right, out=out)

    return burst


def _seconds(burst: Callable[[], object], device: torch.device) -> float:
    before = own_seconds(device)
    burst()
    return max(own_seconds(device) - before, _SHORTEST)


def _of(table: dict[str, Any], device: torch.device) -> Any:
    return table.get(device.type, table["cpu"])
