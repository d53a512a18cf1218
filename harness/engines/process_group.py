"""The processes of a run, joined: each sees the same model, its own micro-batches, and the others' gradients."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from typing import Any

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from harness.launch.rendezvous import Rank

BACKEND = "gloo"  # the one that needs no accelerator


@contextlib.contextmanager
def joined(rank: Rank, wait_seconds: float) -> Iterator[None]:
    """Inside, this process is one of the run's; one that waits longer for the others raises RuntimeError.

    Forked processes meet over a file, those that a command started at the address in the environment.
    """
    if rank.world == 1:
        yield
        return
    where = f"file://{rank.meeting_file}" if rank.meeting_file else "env://"
    limit = datetime.timedelta(seconds=wait_seconds)
    distributed.init_process_group(BACKEND, init_method=where, rank=rank.number, world_size=rank.world, timeout=limit)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def wrapped(model: Any) -> Any:
    """What is called in place of the model: with several processes one that averages gradients over them.

    Parts of a model of pictures and text stay unused in a batch without pictures, and the last norm of a vision tower
    in every batch: those gradients must not be waited for.
    """
    if not distributed.is_initialized() or not any(parameter.requires_grad for parameter in model.parameters()):
        return model
    return DistributedDataParallel(model, find_unused_parameters=True)


def without_averaging(model: Any) -> Any:
    """The context of a micro-batch that is not the last of its step: its gradients stay in this process."""
    return model.no_sync() if isinstance(model, DistributedDataParallel) else contextlib.nullcontext()


def over_all(count: int) -> tuple[int, int]:
    """A count summed over the processes, and how many those are."""
    if not distributed.is_initialized():
        return count, 1
    total = torch.tensor([count])
    distributed.all_reduce(total)
    return int(total), distributed.get_world_size()
