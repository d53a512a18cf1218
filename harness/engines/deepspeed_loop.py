"""A loop over a DeepSpeed engine, as its documentation writes it: forward, engine.backward, engine.step.

What lies between a step's last backward and the next forward is DeepSpeed's own: it clips, steps, zeroes and advances
the schedule inside engine.step. So there are no seams `unscale`, `clip`, `scaler update` and `zero_grad`.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import deepspeed
import torch
from torch import distributed

from harness.engines import Batches, ComponentOf, LossOf
from harness.engines.deepspeed_config import deepspeed_config
from harness.engines.parameter_groups import parameter_groups
from harness.engines.plain_again import made_plain
from harness.engines.process_group import BACKEND
from harness.engines.schedules import factor_of_step
from harness.engines.torch_loop import shares_of
from harness.recipe import Recipe
from harness.seams import Moment, Seam, Seams


def train(
    model: Any, batches: Batches, recipe: Recipe, seams: Seams, component_of: ComponentOf, loss_of: LossOf
) -> DeepSpeedLoop:
    """Run one optimizer step per entry of `batches`, each a sequence of micro-batches."""
    loop = DeepSpeedLoop(model, recipe, seams, component_of, loss_of)
    loop.run(batches)
    return loop


class DeepSpeedLoop:
    """One training run under DeepSpeed, and what is left of it to be saved."""

    def __init__(self, model: Any, recipe: Recipe, seams: Seams, component_of: ComponentOf, loss_of: LossOf) -> None:
        self.model, self.recipe, self.seams, self.loss_of = model, recipe, seams, loss_of
        self.moment = Moment(model=model, precision=recipe.precision)
        self._alone = not distributed.is_initialized()
        if self._alone:  # one process is a group, too; it meets nobody, and needs no port for it
            distributed.init_process_group(BACKEND, store=torch._C._distributed_c10d.HashStore(), rank=0, world_size=1)
            os.environ.setdefault("LOCAL_RANK", "0")
        self._linear = torch.nn.functional.linear
        config = seams.alter(Seam.ENGINE_OPTIONS, deepspeed_config(recipe, hidden_size_of(model)), self.moment)
        groups = parameter_groups(model, recipe.optimizer, component_of)
        groups = seams.alter(Seam.OPTIMIZER_GROUPS, groups, self.moment)
        self.optimizer, self.schedule = self._optimizer_and_schedule(config, groups)
        if recipe.precision == "pure-fp16":
            let_fp16_through()
        with _quiet():
            self.engine = _initialized(model, config, self.optimizer, self.schedule)
        self.called = seams.alter(Seam.WRAPPED, self.engine, self.moment)
        self.moment.optimizer, self.moment.schedule = self.engine.basic_optimizer, self.engine.lr_scheduler
        self._native = recipe.optimizer.loss_average == "micro-batch"

    def _optimizer_and_schedule(self, config: dict[str, Any], groups: list[dict[str, Any]]) -> tuple[Any, Any]:
        """The recipe's own, each unless the configuration brings one: then DeepSpeed makes it, of all that trains."""
        asked = self.recipe.optimizer
        optimizer = schedule = None
        if "optimizer" not in config:
            optimizer = torch.optim.AdamW(groups, betas=asked.betas, eps=asked.eps)
        if "scheduler" not in config:
            schedule = self._schedule_of if optimizer is None else self._schedule_of(optimizer)
        return optimizer, schedule

    def _schedule_of(self, optimizer: Any) -> Any:
        schedule = _Schedule(optimizer, factor_of_step(self.recipe.optimizer, self.recipe.steps))
        schedule.around = lambda step: self.seams.around(Seam.SCHEDULER_STEP, step, self.moment)
        return schedule

    def run(self, batches: Batches) -> None:
        self.engine.train()
        batches = self.seams.alter(Seam.STEPS, batches, self.moment)
        for step, micro_batches in enumerate(batches):
            self.moment.step, self.moment.micro_batches = step, len(micro_batches)
            self._step(micro_batches)

    def _step(self, micro_batches: Sequence[dict[str, Any]]) -> None:
        """One step. DeepSpeed divides by the accumulation and counts micro-batches itself, unless each counts by its
        tokens, or what is left of the data is fewer: then it is told where the step ends."""
        native = self._native and len(micro_batches) == self.recipe.optimizer.accumulation
        shares = shares_of(micro_batches, self.recipe.optimizer.loss_average)
        for micro, batch in enumerate(micro_batches):
            self.moment.micro = micro
            last = micro == len(micro_batches) - 1
            if not native:
                self.engine.set_gradient_accumulation_boundary(last)
            given = self.seams.alter(Seam.BATCH, batch, self.moment)
            loss = self.loss_of(self.called, given)
            loss = self.seams.alter(Seam.LOSS, loss if native else loss * shares[micro], self.moment)
            self._backward(loss, native)
            if last:
                self.seams.around(Seam.OPTIMIZER_STEP, self.engine.step, self.moment)
            else:
                self.engine.step()

    def _backward(self, loss: Any, native: bool) -> None:
        self.seams.around(Seam.BACKWARD, lambda: self.engine.backward(loss, scale_wrt_gas=native), self.moment)

    def weights(self, directory: Path) -> dict[str, torch.Tensor] | None:
        """The whole state dict by the model's names, as DeepSpeed gathers it; in every process but the first, nothing.

        Every process has to call it: under stage 3 each has only its share. Where they are not to be gathered, each
        leaves its share in the directory, and the first puts the files together.
        """
        with _quiet():
            if not self.recipe.deepspeed.gather_on_save:
                return self._put_together(directory)
            if self.recipe.deepspeed.asked().stage < 3:
                return None
            found: dict[str, torch.Tensor] | None = self.engine._zero3_consolidated_16bit_state_dict()
            return found

    def _put_together(self, directory: Path) -> dict[str, torch.Tensor] | None:
        """What `zero_to_fp32.py`, which DeepSpeed leaves beside a checkpoint, makes of its shards; in the weights' own
        dtypes, as they are loaded into the model."""
        directory.mkdir(parents=True, exist_ok=True)
        self.engine.save_checkpoint(str(directory))
        distributed.barrier()
        if distributed.get_rank() != 0:
            return None
        from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint

        whole = get_fp32_state_dict_from_zero_checkpoint(str(directory))
        dtypes = {name: tensor.dtype for name, tensor in self.model.state_dict().items()}
        return {name: tensor.to(dtypes.get(name, tensor.dtype)) for name, tensor in whole.items()}

    def release(self) -> None:
        """Leave the model as any other, whole in each process and without DeepSpeed's hooks."""
        with _quiet():
            made_plain(self.model)
            self.engine.destroy()
        torch.nn.functional.linear = self._linear  # stage 3 has put its own there, for the rest of the process
        if self._alone:
            distributed.destroy_process_group()


class _Schedule(torch.optim.lr_scheduler.LambdaLR):
    """A schedule that DeepSpeed steps, with a seam around that; it is saved without the seam."""

    around: Callable[[Callable[[], None]], None] | None = None

    def step(self, epoch: int | None = None) -> None:
        if self.around is None:  # the first, of its own, as it is made
            super().step(epoch)
        else:
            self.around(super().step)

    def state_dict(self) -> dict[str, Any]:
        return {name: value for name, value in super().state_dict().items() if name != "around"}


def _initialized(model: Any, config: dict[str, Any], optimizer: Any, schedule: Any) -> Any:
    without_compiled_collectives()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    engine, _, _, _ = deepspeed.initialize(
        model=model,
        model_parameters=trained,
        optimizer=optimizer,
        lr_scheduler=schedule,
        config=config,
        dist_init_required=False,
    )
    return engine


def let_fp16_through() -> None:
    """DeepSpeed refuses fp16 on a processor without instructions for it; torch computes it on any, if slowly."""
    deepspeed.get_accelerator().is_fp16_supported = lambda: True


def without_compiled_collectives() -> None:
    """Leave out the collectives in shared memory, which are for inference on CPUs: DeepSpeed would compile them for a
    minute on first use, and training asks for none of them."""
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def hidden_size_of(model: Any) -> int:
    """As transformers finds it: of the model's configuration, or of its text model's."""
    config = getattr(model, "config", None)
    for part in (config, getattr(config, "text_config", None)):
        size = part.get("hidden_size") if isinstance(part, dict) else getattr(part, "hidden_size", None)
        if isinstance(size, int):
            return size
    return 64


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what DeepSpeed prints about itself at each start."""
    logger = logging.getLogger("DeepSpeed")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(before)
