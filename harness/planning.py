"""Layer 3, making side. Counts of a family or suite on the meta device: components, what each mode trains, and how much
memory that takes."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import stack
from harness.adapter_sets import adapter_set, lora_plan
from harness.families import Family, family
from harness.families.family import components_of
from harness.families.possible import refuse_code
from harness.memory import NOT_INCLUDED, Counts, Machine, estimator_name, needs
from harness.memory.counts import text_of
from harness.recipe import COMPONENTS, Recipe
from harness.refusal import Refused
from harness.running.session import suite_at
from harness.seams import Seams
from harness.trace.naming import unwrapped

if TYPE_CHECKING:
    from torch import nn

TOKENS = 2048


@dataclass(frozen=True)
class Question:
    """Whether each mode fits on a machine, with so many tokens at a time on each GPU."""

    machine: Machine
    tokens: int = TOKENS


def family_plan(name: str, size: str, question: Question | None = None, trusted: bool = False) -> dict[str, Any]:
    """Total, count per component, and the trainable count of each of the family's tuning modes that the size allows:
    a small model may have fewer layers than a mode trains. Code that comes with a directory runs if it is `trusted`."""
    chosen = family(name)
    refuse_code(chosen, trusted)
    modes = {mode: Recipe(family=name, **settings) for mode, settings in chosen.modes().items()}
    allowed = {mode: recipe for mode, recipe in modes.items() if not _too_small(chosen, recipe, size)}
    return _plan(chosen, size, allowed, question)


def _too_small(chosen: Family, recipe: Recipe, size: str) -> bool:
    """Whether it is the size that forbids the recipe: what is refused of a full model too, such as the mix of its data,
    is no matter of a plan."""
    return _refused(chosen, recipe, size) and not _refused(chosen, recipe, "full")


def _refused(chosen: Family, recipe: Recipe, size: str) -> bool:
    try:
        chosen.intent(recipe.model_copy(update={"size": size}))
    except Refused:
        return True
    return False


def suite_plan(path: Path, size: str, question: Question | None = None) -> list[dict[str, Any]]:
    """One plan per family of a suite, its recipes as modes."""
    by_family: dict[str, dict[str, Recipe]] = {}
    for name, recipe in suite_at(path).recipes.items():
        by_family.setdefault(recipe.family, {})[name] = recipe
    return [_plan(family(name), size, recipes, question) for name, recipes in by_family.items()]


def _plan(chosen: Family, size: str, modes: dict[str, Recipe], question: Question | None) -> dict[str, Any]:
    stack.quiet()
    with unfilled():
        model = chosen.meta_model(size)
    text = text_of(chosen, model)
    tuned, adapters = {}, {}
    for mode, recipe in modes.items():
        tuned[mode], added = _tuned(chosen, model, recipe, text)
        if recipe.peft:
            adapters[mode] = added
    counts: Counter[str] = Counter()
    for path, parameter in model.named_parameters():
        counts[components_of(chosen, path)] += parameter.numel()
    planned = {
        "family": chosen.name,
        "size": size,
        "total": counts.total(),
        "keys": len(model.state_dict()),
        "components": {name: counts[name] for name in COMPONENTS if counts[name]},
        "modes": {mode: found.trained for mode, found in tuned.items()},
        "adapters": adapters,
        "lora": lora_plan(chosen, model),
    }
    return {**planned, "memory": _memory(question, tuned)} if question else planned


def _memory(question: Question, tuned: dict[str, Counts]) -> dict[str, Any]:
    """Per mode and strategy, what it needs and whether it fits."""
    machine = question.machine
    return {
        "gpus": machine.gpus,
        "gpu_bytes": machine.gpu_bytes,
        "host_bytes": machine.host_bytes,
        "tokens": question.tokens,
        "estimated_by": estimator_name(),
        "not_included": NOT_INCLUDED,
        "modes": {
            mode: {
                "trained": counts.trained,
                "frozen": counts.frozen,
                "strategies": {
                    name: {**vars(need), "fits": need.fits(machine)}
                    for name, need in needs(counts, machine.gpus, question.tokens).items()
                },
            }
            for mode, counts in tuned.items()
        },
    }


def _tuned(chosen: Family, model: nn.Module, recipe: Recipe, text: Any) -> tuple[Counts, int]:
    """What there is once the real libraries have tuned the model as the recipe says, and how many parameters of it are
    an adapter's own. The model is left as it is."""
    import torch

    from harness.tuning import tune

    if recipe.peft and _is_plain(recipe, chosen):
        found = adapter_set(model, recipe.peft.targets, recipe.peft.rank, recipe.peft.exclude)
        if not found.refused:
            own = Counts.of(model, text)
            return replace(own, trained=found.trained, frozen=own.trained + own.frozen), found.trained
    if recipe.peft:
        twin = _twin(model)
        with unfilled(), torch.device("meta"):
            twin = tune(twin, recipe, chosen, Seams())
        return Counts.of(twin, text), _added(twin, model)
    trained = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    counts = Counts.of(tune(model, recipe, chosen, Seams()), text)
    for parameter, requires_grad in trained:  # what comes frozen is kept so: the next mode must not take it for that
        parameter.requires_grad_(requires_grad)
    return counts, 0


def _is_plain(recipe: Recipe, chosen: Family) -> bool:
    """Whether the adapter is LoRA with nothing beside it, which need not be made to be counted."""
    adapter = recipe.peft
    assert adapter is not None
    beside = (
        adapter.bias != "none",
        adapter.dora,
        adapter.lora_bias,
        adapter.modules_to_save,
        adapter.layers_to_transform,
    )
    plain = adapter.method == "lora" and not any((*beside, adapter.rank_pattern, recipe.tune))
    return plain and adapter.method not in chosen.handles.own_adapters


def _added(tuned: nn.Module, model: nn.Module) -> int:
    """What trains and is no parameter of the model by name: an adapter's own, not its copies of modules."""
    own = {path for path, _ in model.named_parameters()}
    trained = ((unwrapped(path), one) for path, one in tuned.named_parameters() if one.requires_grad)
    return sum(one.numel() for path, one in trained if path not in own)


def _twin(model: nn.Module) -> nn.Module:
    """A model for peft to change. Buffers, which may be real on the meta device, are shared."""
    return copy.deepcopy(model, {id(buffer): buffer for buffer in model.buffers()})


def unfilled() -> AbstractContextManager[Any]:
    """Nothing is filled: drawing numbers for the meta device takes most of the time that a plan does."""
    from torch.nn import init
    from torch.overrides import TorchFunctionMode

    fills = {init.kaiming_uniform_, init.normal_, init.uniform_, init.trunc_normal_, init.xavier_uniform_}

    class Unfilled(TorchFunctionMode):
        def __torch_function__(
            self, function: Callable[..., Any], types: Any, given: Any = (), options: Any = None
        ) -> Any:
            named = options or {}
            if function in fills:
                return given[0] if given else named["tensor"]
            return function(*given, **named)

    return Unfilled()
