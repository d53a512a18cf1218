"""Reads a trace. numpy and the standard library; no torch, so that judging needs none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.refusal import Refused
from harness.trace.naming import Naming
from harness.trace.schema import FORMAT_VERSION

Record = dict[str, Any]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a model: what it is called, what it is, and what became of it.

    `changed` holds the number of elements that changed at each optimizer step.
    """

    index: int
    path: str
    key: str
    component: str
    shape: tuple[int, ...]
    dtype: str
    role: str
    requires_grad: bool
    first: str
    last: str | None
    changed: tuple[int, ...]
    changed_since_last_step: int = 0

    @property
    def size(self) -> int:
        count = 1
        for length in self.shape:
            count *= length
        return count

    @property
    def moved(self) -> bool:
        """Whether any bit differs between the first value and the last one known."""
        return (self.last is not None and self.last != self.first) or any(self.changed)

    @property
    def elements_moved(self) -> int:
        """The most elements that changed at any one step."""
        return max((*self.changed, self.changed_since_last_step), default=0)


@dataclass
class Trace:
    """A recorded run: header, the events of each rank, the reload stream."""

    directory: Path
    header: Record
    events: list[Record] = field(default_factory=list)
    reload: list[Record] = field(default_factory=list)
    measured: Record = field(default_factory=dict)
    outcome: Record = field(default_factory=dict)

    @cached_property
    def naming(self) -> Naming:
        intent = self.header.get("intent") or {}
        return Naming(intent.get("renames", ()), intent.get("components", ()))

    def of(self, kind: str) -> list[Record]:
        """All events of a kind, in order."""
        return [event for event in self.events if event["kind"] == kind]

    @cached_property
    def closed(self) -> bool:
        """Whether the run came to its end and said so."""
        return any(event["kind"] == "closing" for event in self.events)

    @cached_property
    def failure(self) -> Record | None:
        return next((event for event in self.events if event["kind"] == "failure"), None)

    @cached_property
    def stage(self) -> str:
        """The last stage the run entered."""
        return next((event["stage"] for event in reversed(self.events) if event["kind"] == "stage"), "start")

    @cached_property
    def model(self) -> Record | None:
        """The first model that met an optimizer: module tree and adapters."""
        return next(iter(self.of("model")), None)

    @cached_property
    def modules(self) -> dict[str, str]:
        """The model's modules: path to class."""
        if self.model is None:
            return {}
        return dict(zip(self.model["modules"]["path"], self.model["modules"]["type"], strict=True))

    @cached_property
    def parameters(self) -> list[Parameter]:
        """The model's parameters with their histories, in the model's order."""
        record = next(iter(self.of("parameters")), None)
        if record is None:
            return []
        model = record["model"]
        steps = [event["values"][model] for event in self.of("optimizer_step")]
        final = next((event for event in self.of("final") if event["model"] == model), None)
        last = final["fingerprint"] if final else (steps[-1]["fingerprint"] if steps else None)
        after = final["changed_since_last_step"] if final else [0] * len(record["path"])
        return [
            Parameter(
                index=index,
                path=path,
                key=self.naming.canonical(path),
                component=self.naming.component(self.naming.canonical(path)),
                shape=tuple(record["shape"][index]),
                dtype=record["dtype"][index],
                role=record["role"][index],
                requires_grad=record["requires_grad"][index],
                first=record["fingerprint"][index],
                last=last[index] if last else None,
                changed=tuple(step["changed"][index] for step in steps),
                changed_since_last_step=after[index],
            )
            for index, path in enumerate(record["path"])
        ]

    @cached_property
    def steps(self) -> list[Record]:
        """The optimizer steps, skipped ones included."""
        return self.of("optimizer_step")

    @cached_property
    def effective_steps(self) -> list[Record]:
        """The optimizer steps that were not skipped."""
        return [step for step in self.steps if not step["skipped"]]

    def gradients(self, moment: str) -> list[Record]:
        """The gradient records of a moment: backward, unscale or optimizer."""
        return [event for event in self.of("gradients") if event["moment"] == moment]

    def probe(self, name: str) -> Record | None:
        return next((event for event in self.of("probe") if event["name"] == name), None)

    def probes(self) -> Iterator[Record]:
        yield from self.of("probe")

    @cached_property
    def reloaded(self) -> Record | None:
        """What the process that loaded the saved directory found, or None if there was none."""
        return next((event for event in self.reload if event["kind"] == "reloaded"), None)

    @cached_property
    def inventory(self) -> Record | None:
        """The saved directory, file by file and tensor by tensor."""
        return next((event for event in self.reload if event["kind"] == "inventory"), None)


def read_trace(directory: Path) -> Trace:
    """Read a trace directory. Raises Refused, in one line, for one that is none or is damaged.

    A trace without its closing record is read up to where it ends.
    """
    header = _read_json(directory / "header.json", directory)
    version = header.get("format")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise Refused(
            f"the trace has format {version}, this harness reads up to {FORMAT_VERSION}",
            where=str(directory),
            do="upgrade the harness",
        )
    measured, outcome = directory / "measured.json", directory / "outcome.json"
    return Trace(
        directory,
        header,
        events=_read_stream(directory / "rank-0" / "events.jsonl"),
        reload=_read_stream(directory / "reload" / "events.jsonl"),
        measured=_read_json(measured, directory) if measured.exists() else {},
        outcome=_read_json(outcome, directory) if outcome.exists() else {},
    )


def _read_json(path: Path, directory: Path) -> Record:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise Refused(f"is not a trace: no {path.name}", where=str(directory), do="name a trace directory") from None
    except ValueError as error:
        raise Refused(f"{path.name} is damaged: {error}", where=str(directory), do="record the run again") from None
    if not isinstance(value, dict):
        raise Refused(f"{path.name} holds no object", where=str(directory), do="record the run again")
    return value


def _read_stream(path: Path) -> list[Record]:
    """The records of a stream; a last line that was cut off by a killed process is left out."""
    if not path.exists():
        return []
    *whole, _cut_off = path.read_text(encoding="utf-8", errors="replace").split("\n")
    records = []
    for number, line in enumerate(whole, start=1):
        try:
            records.append(json.loads(line))
        except ValueError:
            raise Refused(f"line {number} is damaged", where=str(path), do="record the run again") from None
    return records
