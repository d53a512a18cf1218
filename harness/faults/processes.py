"""Faults that end a run: it raises, it is killed, it hangs, it runs out of memory."""

from __future__ import annotations

from typing import Any

from harness.faults.registry import fault
from harness.recipe.fields import Limits
from harness.seams import Moment, Seam

AT_STEP = 1


@fault(Seam.LOSS, caught_by="run.completed", finding="RunEnded", size="one exception")
def raise_in_training(loss: Any, moment: Moment) -> None:
    """An exception is raised in the second step."""
    if moment.step == AT_STEP:
        raise RuntimeError("an exception put there on purpose")


@fault(Seam.LOSS, caught_by="run.completed", finding="RunEnded", size="one signal")
def killed_in_training(loss: Any, moment: Moment) -> None:
    """The process is killed in the second step, as the system does when memory runs out."""
    import os
    import signal

    if moment.step == AT_STEP:
        os.kill(os.getpid(), signal.SIGKILL)


@fault(
    Seam.LOSS,
    caught_by="run.completed",
    finding="RunEnded",
    size="one endless wait",
    changes={"limits": Limits(seconds=3)},
)
def hang_in_training(loss: Any, moment: Moment) -> None:
    """The second step never ends."""
    import time

    if moment.step == AT_STEP:
        time.sleep(3600)


@fault(
    Seam.LOSS,
    caught_by="run.completed",
    finding="RunEnded",
    size="one allocation",
    changes={"limits": Limits(seconds=60, memory_gb=2)},
)
def memory_runs_out(loss: Any, moment: Moment) -> None:
    """The second step asks for more memory than the run may have."""
    import torch

    if moment.step == AT_STEP:
        torch.ones(2**40)
