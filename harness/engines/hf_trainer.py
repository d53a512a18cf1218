"""transformers' Trainer, as people subclass it: parameter groups, schedule, sampler and loss of its own.

Everything else is the Trainer's: its loop, its accumulation and counting of tokens, its clipping, Accelerate's autocast
and its wrapper for several processes. Seams are put around methods of the objects that it has made, for one run.

Two seams differ from the torch loop's. `scaler update` lies inside of `optimizer step`, and `unscale` inside of `clip`,
where Accelerate does them. The loss at its seam has been divided already, by the model or by the Trainer.

On a CPU Accelerate takes `fp16` and does nothing about it, without a word: neither autocast nor scaler. It is given
both here, and what follows is its own: scaling, unscaling, skipping, and telling the Trainer of it.
"""

from __future__ import annotations

import contextlib
import functools
import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from harness import stack
from harness.engines.micro_batch_data import MicroBatchData, the_one
from harness.engines.parameter_groups import parameter_groups
from harness.engines.schedules import factor_of_step
from harness.engines.torch_loop import IGNORED, rank_allocation, scaler_options
from harness.recipe import Recipe
from harness.seams import Moment, Seam, Seams


def train(
    model: Any,
    batches: Sequence[Sequence[dict[str, Any]]],
    recipe: Recipe,
    seams: Seams,
    component_of: Callable[[str], str],
    loss_of: Callable[[Any, dict[str, Any]], Any],
) -> RecipeTrainer:
    """Run one optimizer step per entry of `batches`, each a sequence of micro-batches."""
    moment = Moment(model=model, precision=recipe.precision)
    batches = seams.alter(Seam.STEPS, batches, moment)
    rank, world = (distributed.get_rank(), distributed.get_world_size()) if distributed.is_initialized() else (0, 1)
    with tempfile.TemporaryDirectory(prefix="harness-trainer-") as folder, _as_it_was(model):
        trainer = RecipeTrainer(
            Settings(recipe, seams, moment, component_of, loss_of),
            model=model,
            args=_one_device(arguments(recipe, folder)),
            train_dataset=MicroBatchData(batches, recipe, rank, world),
            data_collator=the_one,
        )
        seams.alter(Seam.TRAINER, trainer, moment).train()
    return trainer


def arguments(recipe: Recipe, folder: str) -> TrainingArguments:
    """The Trainer's own settings, as a command line would give them. It reports to nobody and saves nothing."""
    asked = recipe.optimizer
    return TrainingArguments(
        output_dir=folder,
        max_steps=recipe.steps,
        per_device_train_batch_size=1,  # an item is a micro-batch
        gradient_accumulation_steps=asked.accumulation,
        learning_rate=asked.learning_rate,
        weight_decay=asked.weight_decay,
        adam_beta1=asked.betas[0],
        adam_beta2=asked.betas[1],
        adam_epsilon=asked.eps,
        max_grad_norm=asked.clip_norm or 0.0,
        optim="adamw_torch_fused" if asked.fused else "adamw_torch",
        bf16=recipe.precision == "bf16",
        fp16=recipe.precision == "fp16",
        seed=recipe.seed,
        use_cpu=recipe.device == "cpu",
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        ddp_find_unused_parameters=True,
        average_tokens_across_devices=True,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def _one_device(given: TrainingArguments) -> TrainingArguments:
    """With several GPUs the Trainer would split each batch among them, unasked."""
    if given.n_gpu > 1:
        given._n_gpu = 1
    return given


@contextlib.contextmanager
def _as_it_was(model: Any) -> Iterator[None]:
    """Accelerate puts its autocast around the model's forward and leaves it there, and the Trainer writes its own
    `use_cache` into the configuration, which would be saved: a fine-tune that means neither undoes both."""
    held = [(model, "forward"), *([(model.config, "use_cache")] if hasattr(model, "config") else [])]
    before = [(owner, name, name in vars(owner), vars(owner).get(name)) for owner, name in held]
    try:
        yield
    finally:
        vars(model).pop("_original_forward", None)
        for owner, name, was, value in before:
            if was:
                setattr(owner, name, value)
            else:
                vars(owner).pop(name, None)


@dataclass(frozen=True)
class Settings:
    """What the trainer is told by the recipe, beside the Trainer's own arguments."""

    recipe: Recipe
    seams: Seams
    moment: Moment
    component_of: Callable[[str], str]
    loss_of: Callable[[Any, dict[str, Any]], Any]


class RecipeTrainer(Trainer):  # type: ignore[misc]  # transformers is untyped
    """A Trainer that takes a recipe's micro-batches in their order, with its parameter groups, schedule and loss."""

    def __init__(self, settings: Settings, **given: Any) -> None:
        self.settings = settings
        self.recipe, self.seams, self.moment = settings.recipe, settings.seams, settings.moment
        super().__init__(**given)
        takes: bool = getattr(self, "model_accepts_loss_kwargs")  # noqa: B009 - the Trainer has looked at its forward
        self.model_takes_count = takes
        self.model_accepts_loss_kwargs = (
            self.recipe.optimizer.loss_average == "token"
        )  # else the Trainer counts nothing
        self.remove_callback(PrinterCallback)
        self.add_callback(_Seams(self))

    # -- what people's trainers make themselves ----------------------------------------------------------------------

    def create_optimizer(self, model: Any = None) -> Any:
        groups = parameter_groups(self.model, self.recipe.optimizer, self.settings.component_of)
        groups = self.seams.alter(Seam.OPTIMIZER_GROUPS, groups, self.moment)
        kind, options = self.get_optimizer_cls_and_kwargs(self.args, self.model)
        self.optimizer = kind(groups, **options)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        factor = factor_of_step(self.recipe.optimizer, self.recipe.steps)
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer or self.optimizer, factor)
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def _get_train_sampler(self, *_: Any) -> Any:
        return torch.utils.data.SequentialSampler(self.train_dataset)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The family's loss. Tokens are counted by the Trainer over the whole step; a model that computes its loss
        itself divides by their number, else it is done here."""
        divided = num_items_in_batch is None

        def called(*args: Any, **given: Any) -> Any:
            nonlocal divided
            if not divided and self.model_takes_count and "labels" in given:
                divided, given["num_items_in_batch"] = True, num_items_in_batch
            return model(*args, **given)

        loss = self.settings.loss_of(called, inputs)
        if not divided:
            loss = loss * ((inputs["labels"] != IGNORED).sum() / num_items_in_batch)
        if num_items_in_batch is not None and self.args.average_tokens_across_devices:
            loss = loss * self.accelerator.num_processes  # the count is of all, and their gradients are averaged
        return loss

    # -- where seams are ---------------------------------------------------------------------------------------------

    def create_accelerator_and_postprocess(self) -> None:
        super().create_accelerator_and_postprocess()
        accelerator = self.accelerator
        options = self.seams.alter(Seam.SCALER_OPTIONS, scaler_options(self.recipe), self.moment)
        if self.recipe.precision == "fp16":
            accelerator.native_amp = True
        if options["enabled"]:
            accelerator.scaler = stack.grad_scaler(self.args.device.type, **options)
            put_around(accelerator.scaler, "update", self._around(Seam.SCALER_UPDATE))
        put_around(accelerator, "prepare_model", self._prepared)
        put_around(accelerator, "backward", self._backward)
        put_around(accelerator, "unscale_gradients", self._unscale)
        put_around(accelerator, "clip_grad_norm_", self._clip)

    def training_step(self, model: Any, inputs: dict[str, Any], *given: Any, **named: Any) -> Any:
        moment, step = self.moment, self.state.global_step
        moment.micro = moment.micro + 1 if self._begun == step else 0
        moment.step, self._begun = step, step
        moment.micro_batches = getattr(self, "current_gradient_accumulation_steps", self.recipe.optimizer.accumulation)
        inputs = self.seams.alter(Seam.BATCH, inputs, moment)
        return super().training_step(model, inputs, *given, **named)

    model_accepts_loss_kwargs: bool
    _begun: int | None = None  # the step of which a micro-batch has come already

    def _around(self, seam: Seam) -> Callable[..., Any]:
        """What performs an operation, whatever its arguments, at a seam."""
        return lambda operation, *args, **named: self.seams.around(
            seam, functools.partial(operation, *args, **named) if args or named else operation, self.moment
        )

    def _prepared(self, prepare: Any, model: Any, *args: Any, **named: Any) -> Any:
        return self.seams.alter(Seam.WRAPPED, prepare(model, *args, **named), self.moment)

    def _backward(self, backward: Any, loss: Any, **named: Any) -> None:
        loss = self.seams.alter(Seam.LOSS, loss, self.moment)
        self.seams.around(Seam.BACKWARD, lambda: backward(loss, **named), self.moment)

    def _unscale(self, unscale: Any, *args: Any, **named: Any) -> None:
        if self.accelerator.scaler is not None:
            self.seams.around(Seam.UNSCALE, lambda: unscale(*args, **named), self.moment)

    def _clip(self, clip: Any, parameters: Any, max_norm: float, *args: Any, **named: Any) -> Any:
        """Clip; or only measure the norm, for which the Trainer calls it, too."""
        if not math.isfinite(max_norm):
            return clip(parameters, max_norm, *args, **named)
        norms: list[Any] = []
        operation = functools.partial(clip, parameters, max_norm, *args, **named)
        self.seams.around(Seam.CLIP, lambda: norms.append(operation()), self.moment)
        return norms[-1] if norms else None


class _Seams(TrainerCallback):  # type: ignore[misc]
    """Puts seams around what the Trainer has made once training begins, and tells AdaLoRA of each step."""

    def __init__(self, trainer: RecipeTrainer) -> None:
        self.trainer = trainer
        self.allocate = rank_allocation(trainer.model)
        self.effective = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        trainer, around = self.trainer, self.trainer._around
        trainer.moment.optimizer = getattr(trainer.optimizer, "optimizer", trainer.optimizer)
        trainer.moment.schedule = trainer.lr_scheduler
        put_around(trainer.optimizer, "step", around(Seam.OPTIMIZER_STEP))
        put_around(trainer.lr_scheduler, "step", around(Seam.SCHEDULER_STEP))
        put_around(trainer.model_wrapped, "zero_grad", around(Seam.ZERO_GRAD))

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.allocate and not self.trainer.accelerator.optimizer_step_was_skipped:
            self.effective += 1
            self.allocate(self.effective)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        del self.trainer.model_wrapped.zero_grad


def put_around(owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
    """Replace a method of one object: the wrapper is called with the original first, then the arguments."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*args: Any, **named: Any) -> Any:
        return wrapper(original, *args, **named)

    setattr(owner, name, wrapped)
