"""Faults of runs in several processes: each alone looks like a training that is all right."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from harness.faults.registry import fault
from harness.recipe import Recipe
from harness.recipe.processes import Launch
from harness.seams import Moment, Seam

AT_STEP = 1


def _several(recipe: Recipe) -> bool:
    return recipe.processes > 1


def _wraps(recipe: Recipe) -> bool:
    """Whether the engine puts torch's wrapper around the model, which averages gradients."""
    return _several(recipe) and recipe.engine in ("torch", "trainer")


def _second() -> bool:
    """Whether this is the second process."""
    from torch import distributed

    return distributed.is_initialized() and distributed.get_rank() == 1


@fault(Seam.RANK, caught_by="processes_as_asked", finding="OtherWorld", size="one number", applies=_several)
def each_process_by_itself(rank: Any, moment: Moment) -> Any:
    """Each process is told that it is the only one."""
    os.environ["WORLD_SIZE"] = "1"  # libraries look there for themselves
    os.environ.pop("LOCAL_RANK", None)
    return replace(rank, world=1)


@fault(
    Seam.RANK,
    caught_by="run.completed",
    finding="RunEnded",
    size="one endless wait",
    applies=_several,
    changes={"launch": Launch(wait_seconds=5)},
)
def one_process_never_arrives(rank: Any, moment: Moment) -> None:
    """The second process never comes to where the processes meet."""
    import time

    if rank.number == 1:
        time.sleep(3600)


@fault(Seam.LOSS, caught_by="run.completed", finding="RunEnded", size="one signal", applies=_several)
def one_process_killed(loss: Any, moment: Moment) -> None:
    """The second process is killed in the second step."""
    import os
    import signal

    if moment.step == AT_STEP and _second():
        os.kill(os.getpid(), signal.SIGKILL)


@fault(Seam.WRAPPED, caught_by="gradients_averaged", finding="GradientsApart", size="one call", applies=_wraps)
def model_called_past_its_wrapper(called: Any, moment: Moment) -> Any:
    """The trainer calls the model inside the wrapper, which then never averages a gradient."""
    return moment.model


@fault(
    Seam.WRAPPED,
    caught_by="run.completed",
    finding="RunEnded",
    size="one flag",
    applies=lambda recipe: (
        _wraps(recipe)
        and recipe.optimizer.accumulation == 1  # else there may be a picture in the micro-batch that is exchanged
        and {"image", "text"} <= set(recipe.data.mix)
    ),
    changes={"launch": Launch(wait_seconds=5)},
)
def unused_parameters_waited_for(called: Any, moment: Moment) -> Any:
    """Gradients of parts that a batch does not use are waited for: text in one process, a picture in the other."""
    return type(called)(moment.model, find_unused_parameters=False)


@fault(Seam.OPTIMIZER_STEP, caught_by="replicas_equal", finding="ReplicasApart", size="one element", applies=_several)
def one_element_of_one_replica(step: Any, moment: Moment) -> None:
    """After one step, one element of one parameter is another in the second process."""
    import torch

    if moment.step == AT_STEP and _second():
        trained = next(p for p in moment.model.parameters() if p.requires_grad)
        with torch.no_grad():
            trained.view(-1)[0] += 1
    step()


@fault(Seam.ZERO_GRAD, caught_by="processes_step_together", finding="StepsApart", size="one step", applies=_wraps)
def one_process_steps_twice(zero_grad: Any, moment: Moment) -> None:
    """In one step, the optimizer steps a second time in the second process."""
    if moment.step == AT_STEP and _second():
        moment.optimizer.step()
    zero_grad()


@fault(
    Seam.BACKWARD,
    caught_by="processes_equal_one",
    finding="ProcessesMatter",
    size="one factor at one step",
    applies=lambda recipe: "one-process" in recipe.agrees_with,
)
def gradients_summed_over_processes(backward: Any, moment: Moment) -> None:
    """At one step gradients are the processes' sum, not their average."""
    from torch import distributed

    backward()
    if moment.step == AT_STEP and moment.micro == moment.micro_batches - 1 and distributed.is_initialized():
        for parameter in moment.model.parameters():
            if parameter.grad is not None:
                parameter.grad.mul_(distributed.get_world_size())
