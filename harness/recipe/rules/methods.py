"""What cannot work of single PEFT methods, by name; see `rules`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.recipe.rules.registry import rule

if TYPE_CHECKING:
    from harness.recipe.model import Recipe

NAMING_MODULES = {"targets", "components", "modules_to_save"}


@rule
def ranks_given_away_within_steps(recipe: Recipe) -> tuple[str, str] | None:
    """AdaLoRA comes down to target_r at step total_step - tfinal; trained for less, it is LoRA of rank init_r."""
    adapter = recipe.adapter
    if adapter is None or adapter.method != "adalora":
        return None
    total = adapter.options.get("total_step")
    if not isinstance(total, int):
        return "adapter.options has no total_step: adalora plans its ranks over all steps", "set it to steps"
    last = total - adapter.options.get("tfinal", 0)
    if last < 2:
        what = f"adapter.options: ranks are given away at step {last}, before a step has shown which of them matter"
        return what, "set total_step - tfinal to 2 or more"
    lost = recipe.scaler_enabled and recipe.loss_scaler.init_scale is None  # the step that overflows on purpose
    if last > recipe.steps - lost:
        return (
            f"adapter.options.total_step {total} and steps {recipe.steps}: the ranks would never come down to target_r",
            "set total_step to steps, or add to tfinal",
        )
    return None


@rule
def prompts_name_no_modules(recipe: Recipe) -> tuple[str, str] | None:
    adapter = recipe.adapter
    if adapter and adapter.is_prompt and (named := set(adapter.model_dump(exclude_defaults=True)) & NAMING_MODULES):
        names = ", ".join(sorted(named))
        return f"adapter: {names} beside method {adapter.method}, which sits on no module", f"remove {names}"
    return None


@rule
def prompts_train_alone(recipe: Recipe) -> tuple[str, str] | None:
    """peft freezes everything else, and has no modules_to_save here."""
    if recipe.adapter and recipe.adapter.is_prompt and recipe.tune:
        names = ", ".join(tune.component for tune in recipe.tune)
        return f"tune names {names} beside adapter.method {recipe.adapter.method}, which trains alone", "remove tune"
    return None


@rule
def prompts_need_a_task(recipe: Recipe) -> tuple[str, str] | None:
    """peft raises a KeyError: it wraps a model for prompts by its task alone."""
    if recipe.adapter and recipe.adapter.is_prompt and recipe.adapter.options.get("task_type") != "CAUSAL_LM":
        return (
            f"adapter.method {recipe.adapter.method} without adapter.options.task_type CAUSAL_LM: peft puts prompts "
            "before a model's input by its task",
            "set task_type: CAUSAL_LM",
        )
    return None


@rule
def prefixes_need_a_cache(recipe: Recipe) -> tuple[str, str] | None:
    """Prefixes enter as past keys and values, which layers that are computed again do not take."""
    if recipe.checkpointing and recipe.adapter and recipe.adapter.method == "prefix_tuning":
        return "checkpointing beside adapter.method prefix_tuning: it has no cache to hold them", "turn it off"
    return None


@rule
def butterflies_need_an_extension(recipe: Recipe) -> tuple[str, str] | None:
    """peft warns and goes on with one factor where its CUDA extension does not load."""
    factor = recipe.adapter.options.get("boft_n_butterfly_factor", 1) if recipe.adapter else 1
    if recipe.adapter and recipe.adapter.method == "boft" and factor != 1:
        return (
            f"adapter.options.boft_n_butterfly_factor {factor} and engine {recipe.engine}, which trains on the CPU: "
            "without its CUDA extension peft takes 1 instead",
            "set boft_n_butterfly_factor: 1",
        )
    return None
