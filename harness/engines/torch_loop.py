"""A plain torch loop, as people write it: autocast, scaler, accumulation, clipping, schedule.

It knows nothing of recording. Each operation goes through a seam, so that a fault can be put there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import torch

from harness import stack
from harness.devices import device_of, moved
from harness.engines.going_on import go_on, leave
from harness.engines.logs import Log
from harness.engines.parameter_groups import parameter_groups
from harness.engines.process_group import over_all, without_averaging, wrapped
from harness.engines.schedules import factor_of_step
from harness.launch.interruption import Interruption
from harness.recipe import Recipe
from harness.recipe.fields import LossAverage
from harness.seams import Moment, Seam, Seams

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
IGNORED = -100  # the label of what is not learned, torch's own
SCALE_THAT_OVERFLOWS = 2.0**40  # a tiny model's gradients exceed fp16 here, so that skipping a step is exercised
BACKOFF_AFTER_OVERFLOW = 2.0**-30  # to 1024, which no tiny family's overflow: one of them does at 16384
SCALE_THAT_FITS = SCALE_THAT_OVERFLOWS * BACKOFF_AFTER_OVERFLOW


def train(
    model: Any,
    batches: Sequence[Sequence[dict[str, Any]]],
    recipe: Recipe,
    seams: Seams,
    component_of: Callable[[str], str],
    loss_of: Callable[[Any, dict[str, Any]], Any],
    log: Log | None = None,
    interruption: Interruption = Interruption(),  # noqa: B008 - frozen
) -> Loop:
    """Run one optimizer step per entry of `batches`, each a sequence of micro-batches; of an interrupted run those
    before the interruption, whereupon a checkpoint is left, or those after it."""
    loop = Loop(model, recipe, seams, component_of, loss_of)
    loop.log = log
    if interruption.file is None:
        loop.run(batches, range(len(batches)))
    elif interruption.goes_on:
        place = go_on(loop, interruption.file)
        loop.run(batches, range(interruption.after, len(batches)), place - interruption.after)
    else:
        loop.run(batches, range(interruption.after))
        leave(loop, interruption.file)
    return loop


class Loop:
    """One training run's moving parts."""

    def __init__(
        self,
        model: Any,
        recipe: Recipe,
        seams: Seams,
        component_of: Callable[[str], str],
        loss_of: Callable[[Any, dict[str, Any]], Any],
    ) -> None:
        self.model = model
        self.loss_of = loss_of
        self.recipe = recipe
        self.seams = seams
        self.moment = Moment(model=model, precision=recipe.precision)
        groups = parameter_groups(model, recipe.optimizer, component_of)
        groups = seams.alter(Seam.OPTIMIZER_GROUPS, groups, self.moment)
        self.called = seams.alter(Seam.WRAPPED, wrapped(model), self.moment)
        asked = recipe.optimizer
        self.optimizer = torch.optim.AdamW(groups, betas=asked.betas, eps=asked.eps, fused=asked.fused or None)
        factor = factor_of_step(recipe.optimizer, recipe.steps)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, factor)
        options = seams.alter(Seam.SCALER_OPTIONS, scaler_options(recipe), self.moment)
        self.device = device_of(recipe)
        self.scaler = stack.grad_scaler(self.device.type, **options) if options["enabled"] else None
        self.moment.optimizer, self.moment.schedule = self.optimizer, self.schedule
        self.log: Log | None = None
        self.logged_loss = 0.0
        self.allocate = rank_allocation(model)
        self.effective = 0

    def run(self, batches: Sequence[Sequence[dict[str, Any]]], steps: range, shift: int = 0) -> None:
        """Take the steps of these numbers, each on the batches that are so much further in the data."""
        self.model.train()
        self.moment.first = self.moment.step = steps.start
        before, batches = len(batches), self.seams.alter(Seam.STEPS, batches, self.moment)
        steps = range(steps.start, steps.stop + len(batches) - before) if steps.stop == before else steps
        for step in steps:
            micro_batches = batches[step + shift]
            self.moment.step, self.moment.micro_batches = step, len(micro_batches)
            shares = shares_of(micro_batches, self.recipe.optimizer.loss_average)
            for micro, batch in enumerate(micro_batches):
                self.moment.micro = micro
                last = micro == len(micro_batches) - 1
                with contextlib.nullcontext() if last else without_averaging(self.called):
                    self.backward(batch, shares[micro])
            self.update()

    def backward(self, batch: dict[str, Any], share: float) -> None:
        """Forward and backward of one micro-batch; the loss counts by its share of the step."""
        batch = self.seams.alter(Seam.BATCH, moved(batch, self.device), self.moment)
        with self.autocast():
            loss = self.loss_of(self.called, batch)
        loss = self.seams.alter(Seam.LOSS, loss * share, self.moment)
        if self.log:
            self.logged_loss = float(loss.detach()) / share if share else 0.0
        if self.scaler:
            loss = self.scaler.scale(loss)
        self.seams.around(Seam.BACKWARD, loss.backward, self.moment)

    def update(self) -> None:
        """Unscale, clip, step, zero the gradients, advance the schedule. A skipped step leaves the schedule alone."""
        around, scaler, clip = self.seams.around, self.scaler, self.recipe.optimizer.clip_norm
        before = scaler.get_scale() if scaler else 1.0
        if scaler:
            around(Seam.UNSCALE, lambda: scaler.unscale_(self.optimizer), self.moment)
        if self.log:
            rate = float(self.optimizer.param_groups[0]["lr"])
            values = {"step": self.moment.step + 1, "loss": self.logged_loss, "learning_rate": rate}
            values = self.seams.alter(Seam.LOGGED, values, self.moment)
            self.log.add(int(values.pop("step")), values)
        if clip is not None:
            around(Seam.CLIP, lambda: torch.nn.utils.clip_grad_norm_(self._trained(), clip), self.moment)
        step = (lambda: scaler.step(self.optimizer)) if scaler else self.optimizer.step
        around(Seam.OPTIMIZER_STEP, step, self.moment)
        if scaler:
            around(Seam.SCALER_UPDATE, scaler.update, self.moment)
        stepped = not scaler or scaler.get_scale() >= before
        if stepped and self.allocate:  # it looks at the gradients, which a skipped step left infinite
            self.effective += 1
            self.allocate(self.effective)
        around(Seam.ZERO_GRAD, self.optimizer.zero_grad, self.moment)
        if stepped:
            around(Seam.SCHEDULER_STEP, self.schedule.step, self.moment)

    def autocast(self) -> Any:
        dtype = AUTOCAST.get(self.recipe.precision)
        return torch.autocast(self.device.type, dtype=dtype) if dtype else contextlib.nullcontext()

    def _trained(self) -> list[torch.Tensor]:
        return [p for p in self.model.parameters() if p.requires_grad]


def shares_of(micro_batches: Sequence[dict[str, Any]], average: LossAverage) -> list[float]:
    """By how much each micro-batch's mean loss counts: one as the other, or each by the tokens that it learns.

    Tokens are those of all processes: their gradients are averaged, so that each counts as many times as they are many.
    """
    if average == "micro-batch":
        return [1 / len(micro_batches)] * len(micro_batches)
    learned = [int((batch["labels"] != IGNORED).sum()) for batch in micro_batches]
    total, processes = over_all(sum(learned))
    return [count / total * processes for count in learned]


def rank_allocation(model: Any) -> Callable[[int], None] | None:
    """What AdaLoRA must be told after each step, by number from one: without it every rank stays as it began."""
    return getattr(getattr(model, "base_model", None), "update_and_allocate", None)


def scaler_options(recipe: Recipe) -> dict[str, Any]:
    """Arguments of the gradient scaler. A tiny model starts where it overflows once, unless the recipe says a scale; or
    it grows to there by itself, by the step that the recipe says."""
    settings = recipe.loss_scaler
    options: dict[str, Any] = {
        "enabled": recipe.scaler_enabled,
        "growth_interval": settings.growth_interval,
        "init_scale": settings.init_scale or SCALE_THAT_FITS,
    }
    if settings.backoff_factor:
        options["backoff_factor"] = settings.backoff_factor
    if settings.overflow_at:
        grows = {"growth_interval": settings.overflow_at, "growth_factor": 1 / BACKOFF_AFTER_OVERFLOW}
        options |= {**grows, "backoff_factor": BACKOFF_AFTER_OVERFLOW}
    elif recipe.size == "tiny" and settings.init_scale is None:
        options |= {"init_scale": SCALE_THAT_OVERFLOWS, "backoff_factor": BACKOFF_AFTER_OVERFLOW}
    return options
