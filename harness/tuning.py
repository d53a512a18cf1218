"""Layer 1, making side. Makes a model train what a recipe asks for, the way fine-tuning code does it: by native names
and through peft. Nothing here knows canonical keys; whether it came out as intended is for the checks to see."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from harness import stack
from harness.checkpoint.targets import why_unmet
from harness.families.family import Adjusts, Family
from harness.recipe import Adapter, Recipe, Tune
from harness.refusal import Refused
from harness.seams import Moment, Seam, Seams

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import nn

    from harness.families.family import Loaded


def tune(model: nn.Module, recipe: Recipe, family: Family, seams: Seams, continued: Path | None = None) -> nn.Module:
    """Freeze and thaw the model's parts, add adapters, and hand back the model that is to be trained.

    `continued` is the directory of an adapter that the recipe's own goes on with. What the model's own code keeps fixed
    stays fixed, in whatever is tuned. Raises Refused where the recipe names something that the model does not have.

    What an adapter is drawn from follows from the seed alone: how many numbers loading has drawn before depends on the
    release of transformers.
    """
    import torch

    torch.manual_seed(recipe.seed)
    fixed = {id(parameter) for parameter in model.parameters() if not parameter.requires_grad}
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    if recipe.peft:
        parts = recipe.tune if recipe.save.beside_adapter else ()
        in_place = [parameter for part in parts for parameter in parameters_of(model, part, family)]
        own = family.handles.own_adapters.get(recipe.peft.method)
        if own:
            model = own.attach(model, recipe.peft)
        elif continued:
            model = _with_saved_adapter(model, continued)
        else:
            options = adapter_options(model, recipe, family)
            model = _with_adapter(model, seams.alter(Seam.ADAPTER_OPTIONS, options, Moment(model=model)), recipe.peft)
        _freeze_in_copies(model, fixed)
        for parameter in in_place:
            parameter.requires_grad_(id(parameter) not in fixed)
    else:
        for part in recipe.tune:
            for parameter in parameters_of(model, part, family):
                parameter.requires_grad_(id(parameter) not in fixed)
        if isinstance(family, Adjusts):
            family.adjust(model, recipe)
    if recipe.checkpointing:
        stack.turn_on_checkpointing(model, reentrant=recipe.checkpointing == "reentrant")
    return seams.alter(Seam.AFTER_TUNING, model, Moment(model=model))


def _freeze_in_copies(model: nn.Module, fixed: set[int]) -> None:
    """peft sets everything in its copy of a module to train: what is fixed in the original is frozen there again."""
    wrapper: Any
    for wrapper in model.modules():
        if not hasattr(wrapper, "original_module"):
            continue
        own = {name for name, parameter in wrapper.original_module.named_parameters() if id(parameter) in fixed}
        for copy in wrapper.modules_to_save.values():
            for name, parameter in copy.named_parameters():
                if name in own:
                    parameter.requires_grad_(False)


def add_tokens(loaded: Loaded, tokens: Sequence[str]) -> None:
    """Teach the tokenizer new tokens. The embeddings grow where they have fewer rows than it has tokens, and only then:
    published models have spare rows, which resizing to the tokenizer's length would cut off."""
    tokenizer = loaded.processor.tokenizer
    tokenizer.add_tokens(list(tokens))
    if len(tokenizer) > loaded.model.get_input_embeddings().weight.shape[0]:
        loaded.model.resize_token_embeddings(len(tokenizer))


def parameters_of(model: nn.Module, part: Tune, family: Family) -> list[nn.Parameter]:
    """The parameters that a `tune` entry names, found by native names."""
    if part.component not in family.handles.components:
        return []
    if part.last:
        stacks = [_layers(s) for s in _matching(model, family.handles.layers[part.component]).values()]
        if part.last > (fewest := min(map(len, stacks))):
            raise Refused(f"tune: {part.component} has {fewest} layers, not {part.last}", do="lower last")
        return [p for layers in stacks for layer in layers[-part.last :] for p in layer.parameters()]
    pattern = family.handles.components[part.component]
    whole = _matching(model, pattern)
    held = {path: p for outer, module in whole.items() for path, p in module.named_parameters(prefix=outer)}
    held |= {path: p for path, p in model.named_parameters() if re.match(pattern, path)}  # one that no such module has
    return _named(held, part) if part.named else list(held.values())


def _layers(stack: nn.Module) -> list[nn.Module]:
    """The layers of a list, but for those that have nothing to train: one may have been replaced by an Identity."""
    return [layer for layer in stack.children() if any(True for _ in layer.parameters())]


def _matching(model: nn.Module, pattern: str) -> dict[str, nn.Module]:
    return {path: module for path, module in model.named_modules() if re.match(pattern, path)}


def _named(held: dict[str, nn.Parameter], part: Tune) -> list[nn.Parameter]:
    found: list[nn.Parameter] = []
    for name in part.named:
        met = [parameter for path, parameter in held.items() if re.search(name, path)]
        if not met:
            raise Refused(
                f"tune: nothing in {part.component} matches {name!r}", do=f"its names are like {next(iter(held))}"
            )
        found.extend(met)
    return found


def adapter_options(model: nn.Module, recipe: Recipe, family: Family) -> dict[str, Any]:
    """The keyword arguments for peft's configuration class."""
    adapter = recipe.peft
    assert adapter is not None
    saved_with_adapter = family.handles.saved_with_adapter
    copied = () if recipe.save.beside_adapter else recipe.tune
    given = [saved_with_adapter[part.component] for part in copied if part.component in saved_with_adapter]
    kept = [name for names in given for name in ((names,) if isinstance(names, str) else names)]
    options: dict[str, Any] = dict(adapter.options)
    if not adapter.is_prompt:
        options["target_modules"] = _targets(adapter.targets)
    if saved := [*kept, *adapter.modules_to_save]:
        options["modules_to_save"] = saved
    if adapter.method == "lora":
        options |= _lora_options(adapter)
    return options


def _lora_options(adapter: Adapter) -> dict[str, Any]:
    options: dict[str, Any] = {
        "r": adapter.rank,
        "lora_alpha": adapter.alpha,
        "lora_dropout": adapter.dropout,
        "bias": adapter.bias,
        "use_dora": adapter.dora,
        "use_rslora": adapter.rslora,
        "init_lora_weights": adapter.init,
        "rank_pattern": adapter.rank_pattern,
        "alpha_pattern": adapter.alpha_pattern,
    }
    if adapter.lora_bias:  # which peft before 0.14 does not know
        options["lora_bias"] = True
    if adapter.exclude:
        options["exclude_modules"] = _targets(adapter.exclude)
    if adapter.layers_to_transform:
        options["layers_to_transform"] = list(adapter.layers_to_transform)
    if adapter.layers_pattern:
        options["layers_pattern"] = adapter.layers_pattern
    return options


def _targets(value: str | tuple[str, ...]) -> str | list[str]:
    return value if isinstance(value, str) else list(value)


def _with_adapter(model: nn.Module, options: dict[str, Any], adapter: Adapter) -> nn.Module:
    import peft

    known: dict[str, Any] = {
        str(getattr(kind, "value", kind)).lower(): cls for kind, cls in peft.PEFT_TYPE_TO_CONFIG_MAPPING.items()
    }
    if adapter.method.lower() not in known:
        raise Refused(f"peft has no method {adapter.method!r}", do=f"it has {', '.join(sorted(known))}")
    try:
        config = known[adapter.method.lower()](**options)
        return peft.get_peft_model(model, config)  # type: ignore[no-any-return]
    except (TypeError, ValueError) as error:
        why = ""
        if "not found in the base model" in str(error):
            why = f"; {why_unmet(options['target_modules'], [path for path, _ in model.named_modules()])}"
        what = f"peft refused the adapter: {error}{why}"
        raise Refused(what, do="write targets for this model, or start from the one they are for") from error


def _with_saved_adapter(model: nn.Module, directory: Path) -> nn.Module:
    """The model with an adapter as it was saved, set to train on."""
    import peft

    from harness.checkpoint.fit import adapter_fit

    paths = [path for path, _ in model.named_modules()]
    try:
        return peft.PeftModel.from_pretrained(model, directory, is_trainable=True)  # type: ignore[no-any-return]
    except (TypeError, ValueError, RuntimeError) as error:
        why = adapter_fit(directory, paths).diagnosis or str(error)
        raise Refused(f"the adapter in {directory} cannot be continued: {why}", do="start from its own base") from error
