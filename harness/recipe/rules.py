"""What cannot work, by name. Each rule names the two settings and the remedy.

A rule sees a recipe whose fields are valid one by one; it is checked before any model is built.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.own_code import installed

if TYPE_CHECKING:
    from harness.recipe.model import Recipe


@dataclass(frozen=True)
class Broken:
    """A rule that a recipe breaks."""

    rule: str
    what: str
    do: str


ENGINES = ("torch", "trainer", "deepspeed")
# Engines that want more than `finetune-harness[train]` brings, under their own names, and how it is had.
NEEDS_INSTALLED = {"deepspeed": "pip install setuptools && DS_BUILD_OPS=0 pip install --no-build-isolation deepspeed"}
OF_EVERY_METHOD = {"method", "components", "targets", "modules_to_save", "options"}

Rule = Callable[["Recipe"], "tuple[str, str] | None"]
RULES: dict[str, Rule] = {}


def rule(check: Rule) -> Rule:
    """Register a rule under its function's name."""
    RULES[check.__name__] = check
    return check


def broken_rule(recipe: Recipe) -> Broken | None:
    """The first rule the recipe breaks, or None."""
    for name, check in RULES.items():
        if found := check(recipe):
            return Broken(name, *found)
    return None


def _field(recipe: Recipe) -> str:
    """The name under which the recipe gives its adapter."""
    return "lora" if recipe.lora else "adapter"


@rule
def one_adapter(recipe: Recipe) -> tuple[str, str] | None:
    if recipe.lora and recipe.adapter:
        return "lora and adapter are both given", "keep one of them"
    return None


@rule
def lora_is_lora(recipe: Recipe) -> tuple[str, str] | None:
    if recipe.lora and recipe.lora.method != "lora":
        return (
            f"lora has method {recipe.lora.method}",
            f"write adapter: {{method: {recipe.lora.method}, ...}}",
        )
    return None


@rule
def lora_not_on_tuned_component(recipe: Recipe) -> tuple[str, str] | None:
    """MiniCPM-V raises only after a multi-gigabyte load: language weights cannot train and carry LoRA."""
    both = [t.component for t in recipe.tune if recipe.peft and t.component in recipe.peft.components]
    if both:
        field = _field(recipe)
        names = ", ".join(both)
        return (
            f"tune and {field}.components both name {names}: a component cannot be fully tuned and carry an adapter",
            f"remove {names} from tune, or from {field}.components",
        )
    return None


@rule
def something_trains(recipe: Recipe) -> tuple[str, str] | None:
    if not recipe.tune and not recipe.peft:
        return (
            "tune is empty and there is no adapter: nothing would train",
            "name a component in tune, or add lora",
        )
    return None


@rule
def each_component_once(recipe: Recipe) -> tuple[str, str] | None:
    names = [t.component for t in recipe.tune]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        return f"tune names {', '.join(twice)} more than once", "name each component once"
    return None


@rule
def last_or_named(recipe: Recipe) -> tuple[str, str] | None:
    for tune in recipe.tune:
        if tune.last and tune.named:
            return f"tune: {tune.component} has both last and named", "keep one of them"
    return None


@rule
def part_of_a_component_beside_an_adapter(recipe: Recipe) -> tuple[str, str] | None:
    partial = [t.component for t in recipe.tune if recipe.peft and (t.last or t.named)]
    if partial and not recipe.save.beside_adapter:
        return (
            f"tune trains only part of {', '.join(partial)} beside an adapter: the adapter's file would not hold it",
            "tune the whole component, or name the modules in lora.modules_to_save",
        )
    return None


@rule
def no_scaler_without_masters(recipe: Recipe) -> tuple[str, str] | None:
    """torch raises "Attempting to unscale FP16 gradients": pure fp16 has no fp32 masters to unscale into."""
    if recipe.precision == "pure-fp16" and recipe.scaler_enabled and recipe.engine != "deepspeed":
        return (
            "precision pure-fp16 and loss_scaler on: pure fp16 has no fp32 master weights to unscale into",
            "set loss_scaler: off, or precision: fp16",
        )
    return None


@rule
def scaler_by_rule_or_by_word(recipe: Recipe) -> tuple[str, str] | None:
    settings = recipe.loss_scaler
    if settings.rule and settings.enabled != "auto":
        return (
            f"loss_scaler.rule {settings.rule} and loss_scaler.enabled {settings.enabled}: each says when it is on",
            "keep one of them",
        )
    return None


@rule
def adapter_saved_without_adapter(recipe: Recipe) -> tuple[str, str] | None:
    if recipe.save.what == "adapter" and not recipe.peft:
        return "save.what is adapter and the recipe has no adapter", "set save.what: full, or add lora"
    return None


@rule
def warmup_within_steps(recipe: Recipe) -> tuple[str, str] | None:
    if recipe.optimizer.warmup_steps >= recipe.steps:
        return (
            f"optimizer.warmup_steps {recipe.optimizer.warmup_steps} is not below steps {recipe.steps}: "
            "no step has the full rate",
            "use more steps or a shorter warm-up",
        )
    return None


@rule
def floor_of_a_falling_schedule(recipe: Recipe) -> tuple[str, str] | None:
    if recipe.optimizer.floor and recipe.optimizer.schedule == "constant":
        return (
            f"optimizer.floor {recipe.optimizer.floor:g} and optimizer.schedule constant: nothing falls to it",
            "set schedule: cosine or linear, or leave the floor out",
        )
    return None


@rule
def rates_by_component_or_by_name(recipe: Recipe) -> tuple[str, str] | None:
    """MGM takes mm_projector_lr and lr_multi, and the first silently wins."""
    if recipe.optimizer.component_rates and recipe.optimizer.rate_factors:
        return "optimizer.component_rates and optimizer.rate_factors are both given", "keep one of them"
    return None


@rule
def rates_of_components_that_train(recipe: Recipe) -> tuple[str, str] | None:
    trains = {t.component for t in recipe.tune} | set(recipe.peft.components if recipe.peft else ())
    if idle := sorted(set(recipe.optimizer.component_rates) - trains):
        return (
            f"optimizer.component_rates names {', '.join(idle)}, which does not train",
            f"remove it, or add {idle[0]} to tune",
        )
    return None


@rule
def full_size_is_planned_only(recipe: Recipe) -> tuple[str, str] | None:
    if recipe.size == "full":
        return (
            "size full does not train: its weights do not fit the machines this runs on",
            "use size: tiny to train, and harness plan --size full for counts and targets",
        )
    return None


@rule
def options_of_lora_need_lora(recipe: Recipe) -> tuple[str, str] | None:
    """Another method is given its targets, its modules_to_save and its own options alone."""
    adapter = recipe.adapter
    if adapter is None or adapter.method == "lora":
        return None
    lost = set(adapter.model_dump(exclude_defaults=True)) - OF_EVERY_METHOD
    if lost:
        names = ", ".join(sorted(lost))
        return f"adapter: {names} is for lora, not for {adapter.method}", "write it in options, by peft's name"
    return None


@rule
def layers_of_listed_targets(recipe: Recipe) -> tuple[str, str] | None:
    """peft raises: it chooses layers among names, not among what a regular expression or all-linear meets."""
    if recipe.peft and recipe.peft.layers_to_transform and isinstance(recipe.peft.targets, str):
        field = _field(recipe)
        return (
            f"{field}.layers_to_transform beside {field}.targets {recipe.peft.targets!r}: it goes with a list of names",
            f"give {field}.targets as a list, or name the layers in the regular expression",
        )
    return None


@rule
def layers_pattern_of_layers(recipe: Recipe) -> tuple[str, str] | None:
    if recipe.peft and recipe.peft.layers_pattern and not recipe.peft.layers_to_transform:
        field = _field(recipe)
        return (
            f"{field}.layers_pattern without {field}.layers_to_transform: it says where the layers' numbers are",
            f"add {field}.layers_to_transform, or remove {field}.layers_pattern",
        )
    return None


@rule
def options_belong_to_other_methods(recipe: Recipe) -> tuple[str, str] | None:
    if recipe.peft and recipe.peft.method == "lora" and recipe.peft.options:
        names = ", ".join(recipe.peft.options)
        return (
            f"lora.options names {names}",
            "write lora's options directly under lora, by their recipe names",
        )
    return None


@rule
def other_save_beside_adapter(recipe: Recipe) -> tuple[str, str] | None:
    if recipe.peft and recipe.saves not in ("adapter", "nothing"):
        what = f"save.what is {recipe.save.what} and the recipe has an adapter"
        return what, "save the adapter and merge it afterwards"
    return None


@rule
def files_from_base_beside_whole_weights(recipe: Recipe) -> tuple[str, str] | None:
    """A directory with the base's configuration and no weights of its own would pass for a model."""
    if recipe.save.files_from_base and recipe.saves != "full":
        return f"save.files_from_base and save.what {recipe.saves}: it completes a whole model", "set save.what: full"
    return None


@rule
def tuned_beside_an_adapter_is_one_module(recipe: Recipe) -> tuple[str, str] | None:
    """peft's modules_to_save copies one module whole; a model's layer list is not called, so its copy never runs."""
    copied = recipe.peft and not recipe.save.beside_adapter
    if copied and any(tune.component == "language" for tune in recipe.tune):
        return (
            "tune names language beside an adapter on another component",
            "put the adapter on language, or drop one",
        )
    return None


@rule
def engine_is_installed(recipe: Recipe) -> tuple[str, str] | None:
    if recipe.engine not in ENGINES and ":" not in recipe.engine and recipe.engine not in installed("engine"):
        do = f"use one of: {', '.join(ENGINES)}, or module:function of your own"
        return f"engine {recipe.engine!r} is not installed", do
    return None


@rule
def beside_an_adapter_that_is_saved(recipe: Recipe) -> tuple[str, str] | None:
    """What trains in place is in no copy of peft's: the adapter's file alone would lose it."""
    beside = recipe.save.beside_adapter
    if beside and (not recipe.peft or recipe.saves != "adapter"):
        return f"save.beside_adapter {beside} without an adapter that is saved", "add lora and save.what: adapter"
    if beside and recipe.peft and recipe.peft.modules_to_save:
        return (
            f"save.beside_adapter {beside} and modules_to_save: one saves what trains in place, the other copies",
            "name the components in tune, and keep one of the two",
        )
    return None


@rule
def format_of_a_whole_model(recipe: Recipe) -> tuple[str, str] | None:
    if recipe.save.format != "safetensors" and recipe.saves != "full":
        return (
            f"save.format {recipe.save.format} and save.what {recipe.saves}: it is the format of a whole model",
            "set save.what: full, or leave save.format out",
        )
    return None


@rule
def something_lies_beside_the_adapter(recipe: Recipe) -> tuple[str, str] | None:
    if recipe.save.beside_adapter and not recipe.tune:
        return f"save.beside_adapter {recipe.save.beside_adapter} and tune is empty", "name a component in tune"
    return None
