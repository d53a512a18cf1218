"""Layer 3, making side. On which modules peft would put LoRA, and how many numbers that adds, from the module tree
alone: milliseconds, where making the adapter takes seconds."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness import stack
from harness.families import Family
from harness.families.family import components_of
from harness.recipe import COMPONENTS

if TYPE_CHECKING:
    from torch import nn

ALL_LINEAR = "all-linear"
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
FEED_FORWARD = ("gate_proj", "up_proj", "down_proj")
USUAL: tuple[str | tuple[str, ...], ...] = (("q_proj", "v_proj"), ATTENTION, (*ATTENTION, *FEED_FORWARD), ALL_LINEAR)
RANK = 8


@dataclass(frozen=True)
class AdapterSet:
    """What carries an adapter: by path, how many numbers it adds to each module, and to each tensor that is targeted by
    itself. `refused` says why peft would not make it."""

    modules: dict[str, int]
    tensors: dict[str, int]
    refused: str = ""

    @property
    def trained(self) -> int:
        return sum(self.modules.values()) + sum(self.tensors.values())


def adapter_set(
    model: nn.Module, targets: str | Collection[str], rank: int = RANK, exclude: str | Collection[str] = ()
) -> AdapterSet:
    """What LoRA of a rank, without biases or DoRA, would sit on: `targets` and `exclude` are as peft takes them."""
    try:
        asked = stack.lora_targets(model, targets, rank)
    except ValueError as error:
        return AdapterSet({}, {}, f"peft refuses it: {error}")
    met = {path: model.get_submodule(path) for path in _met(model, asked.modules) if not _names(exclude, path)}
    sizes = {path: _added(module) for path, module in met.items()}
    strange = {type(met[path]).__name__ for path, size in sizes.items() if size is None}
    tensors = {
        path: _rank_of(path, asked.ranks, rank) * _added_to_tensor(parameter.shape)
        for path, parameter in model.named_parameters()
        if any(path.endswith(f".{name}") for name in asked.tensors)
    }
    refused = f"peft has no LoRA for {', '.join(sorted(strange))}" if strange else ""
    if not met and not tensors:
        refused = "no module has such a name"
    return AdapterSet({path: rank * (size or 0) for path, size in sizes.items()}, tensors, refused)


def _met(model: nn.Module, targets: str | Collection[str]) -> Iterator[str]:
    linear = set(_linear(model)) if targets == ALL_LINEAR else None
    for path, _ in model.named_modules():
        if path and (path in linear if linear is not None else _names(targets, path)):
            yield path


def _names(targets: str | Collection[str], path: str) -> bool:
    """Whether targets name a path, by peft's rule: a regular expression matches it whole, a name ends it."""
    if isinstance(targets, str):
        return bool(re.fullmatch(targets, path))
    return any(path == name or path.endswith(f".{name}") for name in targets)


def _linear(model: Any) -> dict[str, nn.Module]:
    """All linear layers but the head."""
    from torch import nn

    head = getattr(model, "get_output_embeddings", lambda: None)()
    return {p: one for p, one in model.named_modules() if isinstance(one, nn.Linear) and one is not head}


def _rank_of(path: str, ranks: Mapping[str, int], rank: int) -> int:
    return next((own for pattern, own in ranks.items() if re.match(rf"(.*\.)?({pattern})$", path)), rank)


def _added(module: nn.Module) -> int | None:
    """What LoRA of rank one adds to a module: a row and a column. None where peft has no LoRA for it."""
    from torch import nn

    if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)) and module.groups > 1:
        return None
    if isinstance(module, (nn.Linear, nn.Embedding, nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        return module.weight[0].numel() + len(module.weight)
    return None


def _added_to_tensor(shape: Collection[int]) -> int:
    """The same for a tensor, of which each expert has a matrix."""
    *experts, rows, columns = shape
    return math.prod(experts) * (rows + columns)


def lora_plan(chosen: Family, model: nn.Module) -> dict[str, Any]:
    """What the usual lists of targets come to, by component; where each usual name is; which linear layers there are
    besides; which tensors hold experts, so that no name of a module reaches them."""
    linear = _by_component(chosen, _linear(model))
    fused = (path for path, parameter in model.named_parameters() if parameter.ndim == 3 and "expert" in path)
    return {
        "rank": RANK,
        "sets": {_title(targets): _counted(chosen, adapter_set(model, targets)) for targets in USUAL},
        "names": {name: {part: found[name] for part, found in linear.items() if name in found} for name in USUAL[2]},
        "linear": {part: dict(found) for part, found in linear.items()},
        "experts": {part: dict(found) for part, found in _by_component(chosen, fused).items()},
    }


def _title(targets: str | tuple[str, ...]) -> str:
    return targets if isinstance(targets, str) else " ".join(targets)


def _counted(chosen: Family, found: AdapterSet) -> dict[str, Any]:
    return {
        "trained": found.trained,
        "modules": {part: names.total() for part, names in _by_component(chosen, found.modules).items()},
        "tensors": {part: names.total() for part, names in _by_component(chosen, found.tensors).items()},
        **({"refused": found.refused} if found.refused else {}),
    }


def _by_component(chosen: Family, paths: Any) -> dict[str, Counter[str]]:
    """How often each last name occurs in each component."""
    found: dict[str, Counter[str]] = {}
    for path in paths:
        found.setdefault(components_of(chosen, f"{path}.weight"), Counter())[path.rpartition(".")[2]] += 1
    return {part: found[part] for part in COMPONENTS if part in found}
