"""What an adapter cannot be or stand beside, by name; see `rules`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.recipe.rules.registry import rule

if TYPE_CHECKING:
    from harness.recipe.model import Recipe

OF_EVERY_METHOD = {"method", "components", "targets", "modules_to_save", "options"}


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
def part_of_a_component_beside_an_adapter(recipe: Recipe) -> tuple[str, str] | None:
    partial = [t.component for t in recipe.tune if recipe.peft and (t.last or t.named)]
    if partial and not recipe.save.beside_adapter:
        return (
            f"tune trains only part of {', '.join(partial)} beside an adapter: the adapter's file would not hold it",
            "tune the whole component, or name the modules in lora.modules_to_save",
        )
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
def biases_of_factors_without_magnitudes(recipe: Recipe) -> tuple[str, str] | None:
    """peft raises."""
    if recipe.peft and recipe.peft.lora_bias and recipe.peft.dora:
        field = _field(recipe)
        return f"{field}.lora_bias beside {field}.dora: DoRA's factors have none", "leave one of them out"
    return None


@rule
def biases_of_factors_begin_plainly(recipe: Recipe) -> tuple[str, str] | None:
    """peft raises."""
    if recipe.peft and recipe.peft.lora_bias and not isinstance(recipe.peft.init, bool):
        field = _field(recipe)
        return f"{field}.lora_bias beside {field}.init {recipe.peft.init}: peft has no such start", "leave init out"
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
