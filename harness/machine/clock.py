"""The time that work takes, without the time that other programs took from it."""

from __future__ import annotations

import time
from pathlib import Path

import torch

_TRIES = 10
_SCHEDULED = Path("/proc/thread-self/schedstat")


def seconds_now(device: torch.device) -> float:
    """The time, when everything that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def waited(device: torch.device) -> float:
    """Seconds that this thread was ready to run and the system let others run, as far as Linux counts them.

    It is no part of what work takes: on a busy machine it is most of what differs between two equal steps. Time that
    the thread has slept is not in it. Where a GPU does the work, what its host waits is not what the work waits.
    """
    if device.type != "cpu":
        return 0.0
    try:
        return int(_SCHEDULED.read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def own_seconds(device: torch.device) -> float:
    """A clock that stands while others run. Its two parts are read anew if others ran between them."""
    before = waited(device)
    for _ in range(_TRIES):
        now, after = seconds_now(device), waited(device)
        if after == before:
            break
        before = after
    return now - after
