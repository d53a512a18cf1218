"""The table of faults. Registering imports no torch: the table is listed and planned without it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from harness.recipe import Recipe
from harness.refusal import Refused
from harness.seams import Alteration, Seam, Seams

Applies = Callable[[Recipe], bool]
MODULES = (
    "parameters",
    "fixed",
    "gradients",
    "precision",
    "steps",
    "experts",
    "determinism",
    "two_towers",
    "adapters",
    "adapter_behaviour",
    "adapter_merging",
    "batches",
    "data",
    "batch_invariance",
    "equivalence",
    "attention",
    "resumed",
    "logged",
    "pace",
    "memory",
    "saved_files",
    "saved_tensors",
    "adapter_files",
    "minimind",
    "hand_over",
    "own_adapters",
    "native_files",
    "directories",
    "other_models",
    "parts",
    "towers",
    "settings",
    "processes",
    "several_processes",
    "hf_trainer",
    "mechanisms",
    "zero",
)


@dataclass(frozen=True)
class Fault:
    """A defect at a seam, the check that must catch it with a finding of the named kind, and how small it is."""

    name: str
    seam: Seam
    caught_by: str
    finding: str
    size: str
    alteration: Alteration
    applies: Applies
    description: str
    changes: Mapping[str, Any]
    engines: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """The recipes that it can show in, in words: what its condition says of itself."""
        return " ".join((self.applies.__doc__ or "").split())

    def fits(self, recipe: Recipe) -> bool:
        """Whether the fault can be put into a recipe. DeepSpeed takes a model apart, and does inside a step what a loop
        does between seams: what is not written for it is for loops."""
        if self.seam is Seam.BASE_WRITTEN and recipe.start_from != "fresh":
            return False  # what is laid over a broken base, or made of it before, does not come to be verified
        engine = recipe.engine in self.engines if self.engines else recipe.engine != "deepspeed"
        return engine and self.applies(recipe)


_registered: dict[str, Fault] = {}


def fault(
    seam: Seam,
    *,
    caught_by: str,
    finding: str,
    size: str,
    applies: Applies = lambda recipe: True,
    changes: Mapping[str, Any] | None = None,
    engines: tuple[str, ...] = (),
) -> Callable[[Alteration], Alteration]:
    """Register a fault under its function's name; the docstring's first line describes it.

    `changes` are recipe fields the fault needs, such as limits that end a hang soon; `engines` those that it is for,
    without any all but DeepSpeed.
    """

    def register(alteration: Alteration) -> Alteration:
        name = alteration.__name__
        description = (alteration.__doc__ or "").strip().split("\n")[0]
        facts = (name, seam, caught_by, finding, size, alteration, applies, description)
        _registered[name] = Fault(*facts, changes or {}, engines)
        return alteration

    return register


@cache
def _loaded() -> dict[str, Fault]:
    for module in MODULES:
        importlib.import_module(f"harness.faults.{module}")
    return _registered


def _place(one: Fault) -> int:
    """The modules in their order, whichever was imported first."""
    return MODULES.index(one.alteration.__module__.rpartition(".")[2])


class _Faults:
    """The registered faults by name, imported when first looked at."""

    def __getitem__(self, name: str) -> Fault:
        try:
            return _loaded()[name]
        except KeyError:
            raise Refused(f"unknown fault {name!r}", do="harness list faults shows them") from None

    def values(self) -> tuple[Fault, ...]:
        return tuple(sorted(_loaded().values(), key=_place))


FAULTS = _Faults()


def seams_with(names: Iterable[str]) -> Seams:
    """Seams that carry the named faults."""
    return Seams.of((FAULTS[name].seam, FAULTS[name].alteration) for name in names)
