"""Whether two traces are of one experiment: what is compared across two experiments would say nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from harness.comparator import devices

if TYPE_CHECKING:
    from harness.trace.reader import Trace

_NOTHING: dict[str, Any] = {}
DEVICE = "device"  # where a run is made is no part of the experiment: how far the runs may be apart follows from it


def unlike(one: Trace, other: Trace, may_differ: Collection[str] = ()) -> Iterator[str]:
    """Why two traces are of different experiments, one reason each; nothing where they are of one.

    `may_differ` are settings of the recipe, by dotted name, that are meant to differ.
    """
    yield from _recipes(one, other, may_differ)
    yield from _faults(one, other)
    yield from _data(one, other, may_differ)
    yield from _models(one, other)
    yield from devices.drawn_apart(one, other)


def environments(one: Trace, other: Trace) -> Iterator[str]:
    """What differs between the environments of two traces."""
    first, second = (_flat(trace.header.get("environment") or _NOTHING) for trace in (one, other))
    for name in sorted(first.keys() | second.keys()):
        if first.get(name) != second.get(name):
            yield f"{name}: {first.get(name)} and {second.get(name)}"
    ways = [_attention(trace) for trace in (one, other)]
    if ways[0] != ways[1] and all(ways):
        yield f"attention: {ways[0]} and {ways[1]}"


def _attention(trace: Trace) -> str:
    """In which ways the layers compute attention, where that was recorded."""
    layers: Mapping[str, str] = (trace.model or _NOTHING).get("attention") or {}
    return " and ".join(sorted(set(layers.values())))


def _recipes(one: Trace, other: Trace, may_differ: Collection[str]) -> Iterator[str]:
    first, second = (_flat(trace.header.get("recipe") or _NOTHING) for trace in (one, other))
    for name in sorted(first.keys() | second.keys()):
        if name != DEVICE and first.get(name) != second.get(name) and not _named(name, may_differ):
            yield f"the recipes differ in {name}: {_shown(first, name)} and {_shown(second, name)}"


def _faults(one: Trace, other: Trace) -> Iterator[str]:
    first, second = (list(trace.header.get("faults") or ()) for trace in (one, other))
    if first != second:
        yield f"faults were injected into one of them: {', '.join(first) or 'none'} and {', '.join(second) or 'none'}"


def _data(one: Trace, other: Trace, may_differ: Collection[str]) -> Iterator[str]:
    first, second = (next(iter(trace.of("data")), _NOTHING).get("digest") for trace in (one, other))
    if first != second and not _named("data", may_differ):
        yield f"they were given different data: {first} and {second}"


def _models(one: Trace, other: Trace) -> Iterator[str]:
    """Two models of one size may lack a parameter each; when most of what they share has other shapes they are two."""
    shapes = [{p.key: p.shape for p in trace.parameters if p.role == "base"} for trace in (one, other)]
    first, second = shapes
    shared = first.keys() & second.keys()
    if first and second and not shared:
        yield "their models share no parameter"
    apart = sorted(key for key in shared if first[key] != second[key])
    if 2 * len(apart) > len(shared):
        key = apart[0]
        yield f"their models are of other sizes: {key} has shape {list(first[key])} and {list(second[key])}"


def _flat(settings: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested settings by dotted name."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found.update(_flat(value, f"{before}{name}."))
        else:
            found[before + name] = value
    return found


def _named(name: str, settings: Collection[str]) -> bool:
    return any(name == setting or name.startswith(f"{setting}.") for setting in settings)


def _shown(settings: Mapping[str, Any], name: str) -> str:
    return str(settings[name]) if name in settings else "not set"
