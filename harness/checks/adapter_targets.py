"""Which modules a target list meets, worked out from the recorded module tree by peft's published matching rules."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.trace.naming import unwrapped

if TYPE_CHECKING:
    from harness.intent import AdapterIntent
    from harness.trace.reader import Trace

LINEAR = ("torch.nn.modules.linear.Linear", "transformers.pytorch_utils.Conv1D")
OUTPUT_LAYERS = ("lm_head", "embed_out", "output")
_LAYER_INDEX = re.compile(r".*?\.[^.]*\.(\d+)\.")


@dataclass(frozen=True)
class Tree:
    """The model's own modules, as they were before an adapter was put around some: path to class."""

    modules: dict[str, str]
    adapted: frozenset[str]

    @classmethod
    def of(cls, trace: Trace) -> Tree:
        adapted = set(trace.model["adapters"]) if trace.model else set()
        modules: dict[str, str] = {}
        for path, kind in trace.modules.items():
            owner = next((prefix for prefix in _prefixes(path) if prefix in adapted), None)
            inside = owner is not None and path != owner and not path.startswith(f"{owner}.base_layer")
            if inside or ".original_module" in path or path.endswith(".modules_to_save"):
                continue
            # A trainer's own LoRA leaves the layer what it was, and puts its factors into it.
            if (path not in adapted or kind in LINEAR) and unwrapped(path):
                modules[unwrapped(path)] = kind
        return cls(modules, frozenset(unwrapped(path) for path in adapted))


def _prefixes(path: str) -> Iterable[str]:
    parts = path.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def met_by_one(target: str, tree: Tree, *, exact: bool = False) -> set[str]:
    """The modules a target meets: a name every path that ends in it, a regular expression (`exact`) a whole one."""
    if exact:
        pattern = re.compile(target)
        return {path for path in tree.modules if pattern.fullmatch(path)}
    return {path for path in tree.modules if path == target or path.endswith(f".{target}")}


def met_by(targets: str | tuple[str, ...], tree: Tree) -> set[str]:
    """The modules that a regular expression, a list of names, or `all-linear` meets."""
    if targets == "all-linear":
        return {p for p, kind in tree.modules.items() if kind in LINEAR and p.rpartition(".")[2] not in OUTPUT_LAYERS}
    if isinstance(targets, str):
        return met_by_one(targets, tree, exact=True)
    return set().union(*(met_by_one(target, tree) for target in targets))


def targeted(adapter: AdapterIntent, tree: Tree) -> set[str]:
    """The modules that the whole specification meets, exclusions and layer choice applied.

    peft asks only what a name of a list meets for its layer: a regular expression and a whole path say enough.
    """
    met = met_by(adapter.targets, tree) - met_by(adapter.exclude, tree)
    layers = adapter.layers_to_transform
    if not layers or isinstance(adapter.targets, str):
        return met
    return {path for path in met if path in adapter.targets or _layer_of(path, adapter.layers_pattern) in layers}


def unmatched(adapter: AdapterIntent, tree: Tree) -> list[str]:
    """Targets and exclusions that meet no module at all."""
    return [
        t for spec in (adapter.targets, adapter.exclude) for t in _each(spec) if not _meets_something(t, spec, tree)
    ]


def _each(spec: str | tuple[str, ...]) -> tuple[str, ...]:
    return (spec,) if isinstance(spec, str) else spec


def _meets_something(target: str, spec: str | tuple[str, ...], tree: Tree) -> bool:
    if target == "all-linear":
        return bool(met_by(target, tree))
    return bool(met_by_one(target, tree, exact=isinstance(spec, str)))


def _layer_of(path: str, layers_pattern: str | None) -> int | None:
    """The first index on the way to a module, as peft has it: experts of a layer have a second one."""
    pattern = re.compile(rf"(?:^|.*?\.){layers_pattern}\.(\d+)\.") if layers_pattern else _LAYER_INDEX
    match = pattern.match(path)
    return int(match.group(1)) if match else None
