"""The models of a script's trace, each with its parameters, its optimizers and what became of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.trace.naming import unwrapped
from harness.trace.reader import Record, Trace

_KNOWN = "_universal_models"


@dataclass(frozen=True, eq=False)
class Model:
    """One model: columns over its parameters, and which optimizers hold each. What `trains` requires a gradient from
    the start or from a later step on; `thawed` are the latter."""

    ident: str
    paths: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[str, ...]
    roles: tuple[str, ...]
    trains: tuple[bool, ...]
    rms: tuple[float, ...]
    first: tuple[str, ...]
    last: tuple[str, ...]
    steps: tuple[Record, ...]
    gradients: tuple[Record, ...]
    held: dict[int, tuple[tuple[str, int], ...]]
    rates: dict[tuple[str, int], float]
    late: frozenset[str]
    thawed: frozenset[int]
    several: bool

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.paths)))

    def name(self, index: int) -> str:
        """What a parameter is called, with its model's name where there are several."""
        path = unwrapped(self.paths[index])
        return f"{self.ident}: {path}" if self.several else path

    def part(self, index: int) -> str:
        """The part of the model that a parameter belongs to: the child of the root that it lies in."""
        return unwrapped(self.paths[index]).partition(".")[0]

    def size(self, index: int) -> int:
        count = 1
        for length in self.shapes[index]:
            count *= length
        return count

    def changed(self, index: int) -> list[int]:
        """How many elements changed at each step that was looked at."""
        return [step["values"][self.ident]["changed"][index] for step in self.steps]

    def prints(self, index: int) -> set[str]:
        """The fingerprints that a parameter has had, as far as it was looked at."""
        return {self.first[index], *(step["values"][self.ident]["fingerprint"][index] for step in self.steps)}

    def norms(self, index: int) -> list[float | None]:
        """The gradient's norm at each step of an optimizer that holds the parameter; None where there was none."""
        return self._column(index, "norm")

    def nonzeros(self, index: int) -> list[float | None]:
        return self._column(index, "nonzero")

    def holders(self, index: int) -> set[str]:
        """The optimizers that hold a parameter."""
        return {optimizer for optimizer, _ in self.held.get(index, ())}

    def rate(self, index: int) -> float:
        """The largest learning rate that a parameter was stepped with, 0 for one that never was."""
        return max((self.rates.get(place, 0.0) for place in self.held.get(index, ())), default=0.0)

    def _column(self, index: int, column: str) -> list[float | None]:
        holders = self.holders(index)
        found: list[float | None] = []
        for event in self.gradients:
            if holders and event.get("optimizer") not in holders:
                continue
            place = self._offset(event) + index
            values = event[column]
            value = values[place] if place < len(values) else None
            found.append(None if value is None else float(value))
        return found

    def _offset(self, event: Record) -> int:
        before = event["models"][: event["models"].index(self.ident)]
        return sum(_sizes(event)[name] for name in before)


def _sizes(event: Record) -> dict[str, int]:
    sizes: dict[str, int] = event["sizes"]
    return sizes


def models_of(trace: Trace) -> tuple[Model, ...]:
    """The models that trained; those which became others, up to there. Worked out once."""
    known: dict[str, Any] = vars(trace)
    if _KNOWN not in known:
        known[_KNOWN] = _models_of(trace)
    found: tuple[Model, ...] = known[_KNOWN]
    return found


def _models_of(trace: Trace) -> tuple[Model, ...]:
    late = {event["by"]: frozenset(event["late"]) for event in trace.of("replaced")}
    several = len(trace.of("parameters")) - len(trace.replaced) > 1
    sizes = {record["model"]: len(record["path"]) for record in trace.of("parameters")}
    thawed = {(model, index) for event in trace.of("thawed") for model, index in event["parameters"]}
    found = []
    for record in trace.of("parameters"):
        ident = record["model"]
        events = _before_it_became_another(trace, ident)
        steps = tuple(one for one in events if one["kind"] == "optimizer_step" and ident in one["values"])
        if ident in trace.replaced and not steps:
            continue
        of_optimizers = [one for one in events if one["kind"] == "gradients" and one["moment"] == "optimizer"]
        finals = [one for one in events if one["kind"] == "final" and one["model"] == ident]
        found.append(
            Model(
                ident=ident,
                paths=tuple(record["path"]),
                shapes=tuple(map(tuple, record["shape"])),
                dtypes=tuple(record["dtype"]),
                roles=tuple(record["role"]),
                trains=tuple(wants or (ident, index) in thawed for index, wants in enumerate(record["requires_grad"])),
                rms=tuple(map(float, record["rms"])),
                first=tuple(record["fingerprint"]),
                last=tuple(finals[0]["fingerprint"]) if finals else (),
                steps=steps,
                gradients=tuple({**one, "sizes": sizes} for one in of_optimizers if ident in one["models"]),
                held={index: tuple(names) for index, names in _holders(events)[ident].items()},
                rates=_rates(trace),
                late=late.get(ident, frozenset()),
                thawed=frozenset(index for model, index in thawed if model == ident),
                several=several,
            )
        )
    return tuple(found)


def _before_it_became_another(trace: Trace, ident: str) -> Sequence[Record]:
    """All events, for a model that stayed what it was."""
    events = trace.events
    ends = (place for place, one in enumerate(events) if one["kind"] == "replaced" and one["model"] == ident)
    return events[: next(ends, len(events))]


def _rates(trace: Trace) -> dict[tuple[str, int], float]:
    """The largest learning rate of each group of each optimizer."""
    largest: dict[tuple[str, int], float] = {}
    for step in trace.effective_steps:
        for number, rate in enumerate(step["lr"]):
            place = (step["optimizer"], number)
            largest[place] = max(largest.get(place, 0.0), float(rate))
    return largest


def _holders(events: Sequence[Record]) -> dict[str, dict[int, list[tuple[str, int]]]]:
    """By model and parameter, the optimizers and their groups that hold it, as they were described last."""
    found: dict[str, dict[int, list[tuple[str, int]]]] = defaultdict(lambda: defaultdict(list))
    described = {event["optimizer"]: event["groups"] for event in events if event["kind"] == "optimizer"}
    for optimizer, groups in described.items():
        for number, group in enumerate(groups):
            for place in group["parameters"]:
                if place:
                    found[place[0]][place[1]].append((optimizer, number))
    return found
