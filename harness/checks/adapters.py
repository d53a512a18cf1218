"""Adapters sit exactly where they were meant to, with the numbers they were meant to have."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from harness.checks.adapter_needs import Numbers, OnLayers
from harness.checks.adapter_targets import Tree, targeted, unmatched
from harness.checks.needs import AnAdapter, Parameters
from harness.checks.registry import check
from harness.result import Finding
from harness.wording import by_component, count, listed

if TYPE_CHECKING:
    from harness.intent import AdapterIntent, Intent
    from harness.trace.reader import Trace


class AdapterOutside(Finding):
    """Adapters in a component that was not meant to carry any."""


class AdapterMissing(Finding):
    """Modules that should carry an adapter and do not."""


class AdapterUnasked(Finding):
    """Adapters on modules that no target names."""


class TargetMeetsNothing(Finding):
    """A target or an exclusion that names no module of the model."""


class AdapterNumbers(Finding):
    """Rank, scaling or dropout of an adapter that is not what was asked."""


@check(
    "adapters sit on exactly the intended modules, component by component",
    source="LLaVA-1.5: q_proj, k_proj, v_proj also name the CLIP tower's layers (42,336,256 instead of 39,976,960)",
    needs=[AnAdapter, OnLayers, Parameters],
)
def adapters_where_intended(intent: Intent, trace: Trace) -> Iterator[Finding]:
    assert intent.adapter is not None
    tree = Tree.of(trace)
    component = {path: trace.naming.component(trace.naming.canonical(path) + ".") for path in tree.modules}
    asked = targeted(intent.adapter, tree)
    wanted = {path for path in asked if component[path] in intent.adapter.components}
    yield from _outside(intent.adapter, tree, asked - wanted, component)
    yield from _missing(wanted - tree.adapted, component)
    yield from _unasked(set(tree.adapted) - asked, component)
    yield from _unmatched(intent.adapter, tree)
    bare = [name for name in intent.adapter.components if name not in {component[path] for path in wanted}]
    for name in bare:
        yield AdapterMissing(
            expected=f"{name}: adapters",
            seen="no target names a module there",
            where=f"targets {intent.adapter.targets!r}",
            cause="the component's layers have other names, or are fused into one",
        )


def _outside(adapter: AdapterIntent, tree: Tree, elsewhere: set[str], component: dict[str, str]) -> Iterator[Finding]:
    hit = sorted(elsewhere & tree.adapted)
    for name, paths in by_component((component[path], path) for path in hit).items():
        yield AdapterOutside(
            expected=f"{name}: no adapter",
            seen=f"{count(len(paths), 'adapter')}",
            where=listed(paths),
            cause=f"the targets {adapter.targets!r} also name modules there",
            do="give the targets as a regular expression that begins with the intended component's path",
        )


def _missing(paths: set[str], component: dict[str, str]) -> Iterator[Finding]:
    for name, missing in by_component((component[path], path) for path in sorted(paths)).items():
        yield AdapterMissing(
            expected=f"{name}: an adapter on every module that the targets name",
            seen=f"{count(len(missing), 'module')} without",
            where=listed(missing),
            cause="the library skipped them, or a module was replaced afterwards",
        )


def _unasked(paths: set[str], component: dict[str, str]) -> Iterator[Finding]:
    for name, unasked in by_component((component.get(path, "other"), path) for path in sorted(paths)).items():
        yield AdapterUnasked(
            expected=f"{name}: adapters on named modules only",
            seen=f"{count(len(unasked), 'adapter')} that no target names",
            where=listed(unasked),
            cause="the library added targets of its own",
        )


def _unmatched(adapter: AdapterIntent, tree: Tree) -> Iterator[Finding]:
    for target in unmatched(adapter, tree):
        yield TargetMeetsNothing(
            expected="every target and exclusion to name a module",
            seen=f"{target!r} names none",
            where="the adapter's targets",
            cause="a name of another architecture, or fused layers; peft says nothing unless no target matches at all",
        )


@check(
    "every adapter has the rank, scaling and dropout asked for",
    source="peft #2195: rank_pattern hid alpha_pattern",
    needs=[AnAdapter, Numbers, Parameters],
)
def adapter_numbers_as_asked(intent: Intent, trace: Trace) -> Iterator[Finding]:
    assert intent.adapter is not None
    assert trace.model is not None
    wrong: dict[tuple[str, str], list[str]] = {}
    for path, facts in trace.model["adapters"].items():
        wanted = _wanted_numbers(intent.adapter, re.sub(r"^.*?base_model\.model\.", "", path))
        for name, value in wanted.items():
            seen = _only(facts.get(name))
            if name == "dropout" and not value and not facts.keys() - {"r"}:
                continue  # two factors of a script's own: they have no dropout, as was asked
            if seen is None or not math.isclose(float(seen), value):
                shown = "none" if seen is None else f"{float(seen):g}"
                wrong.setdefault((f"{name} {value:g}", shown), []).append(path)
    for (expected, shown), paths in wrong.items():
        yield AdapterNumbers(
            expected=expected,
            seen=f"{shown} on {count(len(paths), 'adapter')}",
            where=listed(paths),
            cause="a pattern was ignored, or the library changed its default",
        )


def _wanted_numbers(adapter: AdapterIntent, path: str) -> dict[str, float]:
    if adapter.rank is None:
        return adapter.numbers
    rank = _by_pattern(adapter.rank_pattern, path, adapter.rank)
    wanted = {"r": rank, "dropout": adapter.dropout}
    if adapter.alpha is not None:
        alpha = _by_pattern(adapter.alpha_pattern, path, adapter.alpha)
        wanted["scaling"] = alpha / (math.sqrt(rank) if adapter.rslora else rank)
    return wanted


def _by_pattern(patterns: dict[str, Any], path: str, default: float) -> float:
    """The value of the first pattern that ends the path, as peft resolves rank_pattern and alpha_pattern."""
    for pattern, value in patterns.items():
        if re.match(rf"(.*\.)?({pattern})$", path):
            return float(value)
    return float(default)


def _only(values: Any) -> Any:
    return next(iter(values.values()), None) if isinstance(values, dict) else None
