"""Faults of transformers' Trainer and of those who subclass it: each alone looks like a training that is all right."""

from __future__ import annotations

import functools
from typing import Any

from harness.faults.registry import fault
from harness.faults.where import saves_whole_by_itself
from harness.recipe import Recipe
from harness.seams import Moment, Seam


def _by_trainer(recipe: Recipe) -> bool:
    return recipe.engine == "trainer"


def _counts_tokens(recipe: Recipe) -> bool:
    """Whether a step's loss is the mean over the tokens of several micro-batches."""
    return _by_trainer(recipe) and recipe.optimizer.loss_average == "token" and recipe.optimizer.accumulation > 1


def _counts_tokens_of_all(recipe: Recipe) -> bool:
    return _by_trainer(recipe) and recipe.optimizer.loss_average == "token" and recipe.processes > 1


@fault(
    Seam.TRAINER,
    caught_by="accumulation_divides",
    finding="LossNotDivided",
    size="one argument",
    applies=_counts_tokens,
)
def model_drops_the_count_of_tokens(trainer: Any, moment: Moment) -> None:
    """The model takes the Trainer's count of tokens and makes nothing of it: nobody divides (Idefics3, Gemma 3)."""

    def mean_of_the_micro_batch(model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
        return trainer.settings.loss_of(model, inputs)

    trainer.compute_loss = mean_of_the_micro_batch


@fault(
    Seam.TRAINER,
    caught_by="accumulation_divides",
    finding="LossNotDivided",
    size="one condition",
    applies=_counts_tokens,
)
def loss_divided_twice(trainer: Any, moment: Moment) -> None:
    """A loss over the tokens of the whole step is divided by the number of micro-batches once more."""
    backward = trainer.accelerator.backward
    trainer.accelerator.backward = lambda loss, **named: backward(loss / moment.micro_batches, **named)


@fault(
    Seam.TRAINER,
    caught_by="accumulation_divides",
    finding="LossNotDivided",
    size="one condition",
    applies=_counts_tokens,
)
def tokens_not_counted(trainer: Any, moment: Moment) -> None:
    """A step's loss is the mean of its micro-batches' means, however many tokens each learns (before 4.46)."""
    trainer.model_accepts_loss_kwargs = False


@fault(
    Seam.TRAINER,
    caught_by="accumulation_divides",
    finding="LossNotDivided",
    size="one setting",
    applies=_counts_tokens_of_all,
)
def each_process_counts_its_own_tokens(trainer: Any, moment: Moment) -> None:
    """Tokens are counted in each process, and means of unequal batches averaged as if they were equal."""
    trainer.args.average_tokens_across_devices = False


@fault(
    Seam.TRAINER,
    caught_by="learning_rates_as_declared",
    finding="WrongRate",
    size="one call",
    applies=lambda recipe: _by_trainer(recipe) and recipe.processes > 1 and recipe.optimizer.schedule != "constant",
)
def schedule_prepared_by_accelerate(trainer: Any, moment: Moment) -> None:
    """The schedule goes through Accelerator.prepare, which then steps it once for each process."""
    make = trainer.create_scheduler

    @functools.wraps(make)
    def prepared(*args: Any, **named: Any) -> Any:
        trainer.lr_scheduler = trainer.accelerator.prepare_scheduler(make(*args, **named))
        return trainer.lr_scheduler

    trainer.create_scheduler = prepared


@fault(
    Seam.TRAINER,
    caught_by="engine_changes_nothing",
    finding="EngineMatters",
    size="one number",
    applies=lambda recipe: _by_trainer(recipe) and "torch" in recipe.agrees_with,
)
def beta_of_the_trainers_own(trainer: Any, moment: Moment) -> None:
    """The Trainer is told nothing of one of Adam's betas, and takes its own."""
    trainer.args.adam_beta2 = 0.98


@fault(
    Seam.SAVE_OPTIONS,
    caught_by="settings_kept",
    finding="SettingChanged",
    size="one setting",
    applies=lambda recipe: _by_trainer(recipe) and saves_whole_by_itself(recipe),
)
def cache_setting_of_the_trainer_saved(options: Any, moment: Moment) -> None:
    """The Trainer sets use_cache as it needs it, and the configuration is saved with it."""
    config = moment.model.config
    config.use_cache = not getattr(config, "use_cache", True)


@fault(
    Seam.TRAINER,
    caught_by="processor_reloads",
    finding="ProcessorLost",
    size="one argument",
    applies=lambda recipe: recipe.save.by == "trainer" and recipe.save.processor,
)
def tokenizer_given_for_the_processor(trainer: Any, moment: Moment) -> None:
    """The Trainer is given the tokenizer where it wants the processor, and saves what it has."""
    save = trainer.save_model

    @functools.wraps(save)
    def with_a_tokenizer(*args: Any, **named: Any) -> None:
        trainer.processing_class = trainer.processing_class.tokenizer
        save(*args, **named)

    trainer.save_model = with_a_tokenizer
