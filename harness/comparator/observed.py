"""A trace as a list of observations: what was seen, when, and of what. Two traces are compared observation by
observation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from harness.comparator.arrays_of import final_values, output_values

if TYPE_CHECKING:
    import numpy.typing as npt

    from harness.trace.reader import Record, Trace

Stage = Literal["before", "training", "after", "probe", "saved", "reloaded"]
STAGES: tuple[Stage, ...] = ("before", "training", "after", "probe", "saved", "reloaded")


@dataclass(frozen=True)
class Place:
    """What was observed: the field, when, and of which parameter, group, sample or file."""

    stage: Stage
    field: str
    step: int | None = None
    micro: int | None = None
    subject: str = ""

    def __str__(self) -> str:
        when = [] if self.step is None else [f"step {self.step}"]
        when += [] if self.micro is None else [f"micro-batch {self.micro}"]
        return ", ".join([*when, *([self.subject] if self.subject else [])]) or self.stage


@dataclass(frozen=True)
class Observed:
    """A value at a place: a number, an array of numbers, or anything else that is equal or not.

    `component` is that of the parameter, where it is of one.
    """

    place: Place
    value: float | npt.NDArray[Any] | str | tuple[Any, ...] | bool | None
    component: str | None = None


def observations(trace: Trace) -> Iterator[Observed]:
    """Everything of a trace that two equal runs have in common, in the order in which it came about."""
    yield from _before(trace)
    for event in trace.events:
        yield from _TRAINING.get(event["kind"], _nothing)(trace, event)
    yield from _after(trace)
    yield from _probes(trace)
    yield from _saved(trace)
    yield from _reloaded(trace)


def _nothing(_trace: Trace, _event: Record) -> Iterator[Observed]:
    return iter(())


def _before(trace: Trace) -> Iterator[Observed]:
    """What there was before the first step. An adapter is drawn then and there, all else is read from files."""
    for parameter in trace.parameters:
        for field, value in (
            ("shape", parameter.shape),
            ("dtype", parameter.dtype),
            ("trains", parameter.requires_grad),
            ("drawn value" if parameter.role == "adapter" else "first value", parameter.first),
        ):
            yield Observed(Place("before", field, subject=_key(parameter)), value, parameter.component)


def _key(parameter: Any) -> str:
    """A canonical key is shared by a base weight and an adapter's copy of it: the role tells them apart."""
    return parameter.key if parameter.role == "base" else f"{parameter.key} ({parameter.role})"


def _forward(_trace: Trace, event: Record) -> Iterator[Observed]:
    if event.get("training"):
        for field, name in (("samples", "samples"), ("pixels", "pixels"), ("labels", "labels"), ("loss", "loss")):
            value = event.get(name)
            yield _at(event, field, _number(value) if field == "loss" else _plain(value))


def _backward(_trace: Trace, event: Record) -> Iterator[Observed]:
    yield _at(event, "value of backward", _number(event.get("value")))


def _gradients(trace: Trace, event: Record) -> Iterator[Observed]:
    for parameter, norm in zip(trace.parameters, event["norm"], strict=False):
        field = f"gradient norm at {event['moment']}"
        yield _at(event, field, _number(norm), _key(parameter), parameter.component)


def _clip(_trace: Trace, event: Record) -> Iterator[Observed]:
    yield _at(event, "norm that was clipped", _number(event.get("total")))


def _scaler(_trace: Trace, event: Record) -> Iterator[Observed]:
    yield _at(event, "loss scale", _number(event["after"]))


def _step(trace: Trace, event: Record) -> Iterator[Observed]:
    yield _at(event, "skipped", bool(event["skipped"]))
    for group, rate in enumerate(event["lr"]):
        yield _at(event, "learning rate", _number(rate), f"group {group}")
    yield _at(event, "optimizer state", event.get("state"))
    yield _at(event, "random state", event.get("rng"))
    columns: Record = next(iter(event["values"].values()), {})
    for field, name in (("weights", "fingerprint"), ("weights' mean square", "rms"), ("weights' peak", "peak")):
        for parameter, value in zip(trace.parameters, columns.get(name, ()), strict=False):
            known = value if name == "fingerprint" else _number(value)
            yield _at(event, field, known, _key(parameter), parameter.component)


_TRAINING = {
    "forward": _forward,
    "backward": _backward,
    "gradients": _gradients,
    "clip": _clip,
    "scaler_update": _scaler,
    "optimizer_step": _step,
}


def _at(event: Record, field: str, value: Any, subject: str = "", component: str | None = None) -> Observed:
    return Observed(Place("training", field, event["step"], event["micro"], subject), value, component)


def _after(trace: Trace) -> Iterator[Observed]:
    arrays = final_values(trace)
    for parameter in trace.parameters:
        place = Place("after", "final weights", subject=_key(parameter))
        yield Observed(place, parameter.last, parameter.component)
        if parameter.index in arrays:
            at = Place("after", "final values", subject=_key(parameter))
            yield Observed(at, arrays[parameter.index], parameter.component)
    for event in trace.of("closing"):
        for name, digest in event.get("optimizer_states", {}).items():
            yield Observed(Place("after", "final optimizer state", subject=name), digest)


def _probes(trace: Trace) -> Iterator[Observed]:
    for name, values in output_values(trace).items():
        yield Observed(Place("probe", "outputs", subject=name), values)
    for probe in trace.probes():
        if probe["name"] == "generated":
            for name, ids in probe.get("ids", {}).items():  # none, where it could not be made
                yield Observed(Place("probe", "generated ids", subject=name), tuple(ids))


def _saved(trace: Trace) -> Iterator[Observed]:
    inventory = trace.inventory or {}
    for name, tensor in inventory.get("tensors", {}).items():
        yield Observed(Place("saved", "saved tensor", subject=name), tensor.get("fingerprint"))
    for name, file in inventory.get("files", {}).items():
        if "digest" in file:
            yield Observed(Place("saved", "saved file", subject=name), file["digest"])


def _reloaded(trace: Trace) -> Iterator[Observed]:
    record = trace.reloaded or {}
    for name in ("model_class", "processor_class", "tokenizer_class"):
        if name in record:
            yield Observed(Place("reloaded", name.replace("_", " ")), record[name])
    for name in ("missing", "unexpected"):
        if name in record:
            yield Observed(Place("reloaded", f"{name} keys"), tuple(record[name]))


def _number(value: Any) -> float | None:
    """A float of a trace; those that are not finite are words there."""
    return None if value is None else float(value)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
