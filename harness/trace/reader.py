"""Reads a trace. numpy and the standard library; no torch, so that judging needs none."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from harness.refusal import Refused
from harness.trace.json_text import parsed
from harness.trace.naming import Naming
from harness.trace.parameter import Parameter
from harness.trace.schema import FORMAT_VERSION
from harness.trace.shards import put_together

Record = dict[str, Any]
_AGAIN = "record the run again"


@dataclass
class Trace:
    """A recorded run: header, the events of each rank, the streams of those who loaded its base and what it saved.

    Keys and components are those of `rules` where there are any, else of the intent it was recorded with. Of a run in
    several processes this is what the first saw, and `others` what each of the others saw of the same run.
    """

    directory: Path
    header: Record
    events: list[Record] = field(default_factory=list)
    reload: list[Record] = field(default_factory=list)
    base: list[Record] = field(default_factory=list)
    measured: Record = field(default_factory=dict)
    outcome: Record = field(default_factory=dict)
    rules: Naming | None = None
    rank: int = 0
    others: list[Trace] = field(default_factory=list)
    _named: dict[Naming, Trace] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def naming(self) -> Naming:
        if self.rules:
            return self.rules
        try:
            intent = self.header.get("intent") or {}
            return Naming(intent.get("renames", ()), intent.get("components", ()))
        except (AttributeError, TypeError, ValueError, re.error):
            raise _damaged(self.directory / "header.json", "its intent has no names") from None

    def named_by(self, naming: Naming) -> Trace:
        """This trace under the names of an intent; an intent without any rules leaves those it was recorded with."""
        if not naming or naming == self.naming:
            return self
        if naming not in self._named:
            others = [one.named_by(naming) for one in self.others]
            self._named[naming] = replace(self, rules=naming, others=others)
        return self._named[naming]

    @property
    def of_script(self) -> bool:
        """Whether it was recorded in a script that knew nothing of it."""
        return self.header.get("script") is True

    @property
    def ranks(self) -> list[Trace]:
        """What each process of the run saw, this one first."""
        return [self, *self.others]

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
        return next(self.in_force("model"), None)

    @cached_property
    def modules(self) -> dict[str, str]:
        """The model's modules: path to class."""
        if self.model is None:
            return {}
        with self._agreeing("model"):
            return dict(zip(self.model["modules"]["path"], self.model["modules"]["type"], strict=True))

    @cached_property
    def parameters(self) -> list[Parameter]:
        """The model's parameters with their histories, in the model's order."""
        if not self.described:
            return []
        with self._agreeing("parameters"):
            return self._histories(self.described)

    @cached_property
    def described(self) -> Record:
        """What was recorded of the model's parameters when it was found; empty where none was."""
        return next(self.in_force("parameters"), {})

    def in_force(self, kind: str) -> Iterator[Record]:
        """The records of a kind but for those of models that are others since."""
        return (one for one in self.of(kind) if one.get("model") not in self.replaced)

    @cached_property
    def replaced(self) -> set[str]:
        """Models of a script that were wrapped or given parts after they were found, and are others since."""
        return {event["model"] for event in self.of("replaced")}

    @contextlib.contextmanager
    def _agreeing(self, kind: str) -> Iterator[None]:
        """Columns of other lengths, and values of other types, than a record should have are damage."""
        try:
            yield
        except (AttributeError, IndexError, TypeError, ValueError):
            raise _damaged(self.directory, f"its record of the {kind} contradicts itself or the steps") from None

    def _histories(self, record: Record) -> list[Parameter]:
        model = record["model"]
        # A script's steps may go by unlooked at, or before a model was found.
        steps = [
            event["values"][model]
            for event in self.of("optimizer_step")
            if not self.of_script or model in event["values"]
        ]
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
    def base_reloaded(self) -> Record | None:
        """What the process that verified the base directory found before training, or None if there was none."""
        return next((event for event in self.base if event["kind"] == "reloaded"), None)

    @cached_property
    def inventory(self) -> Record | None:
        """The saved directory, file by file and tensor by tensor."""
        return next((event for event in self.reload if event["kind"] == "inventory"), None)


class _Object(dict[str, Any]):
    """A JSON object of a file. A key that it lacks is damage of that file."""

    def __init__(self, path: Path, line: int | None, values: dict[str, Any]) -> None:
        super().__init__(values)
        self._path, self._line = path, line

    def __missing__(self, key: str) -> Any:
        raise _damaged(self._path, f"it has no {key}", self._line)


def read_trace(directory: Path) -> Trace:
    """Read a trace directory. Raises Refused, in one line, for one that is none or is damaged.

    A trace without its closing record is read up to where it ends.
    """
    header = _read_json(directory / "header.json", directory)
    version = header.get("format")
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        newer = type(version) is int and version > FORMAT_VERSION
        raise Refused(
            f"the trace has format {version}, this harness reads up to {FORMAT_VERSION}",
            where=str(directory),
            do="upgrade the harness" if newer else _AGAIN,
        )
    measured, outcome = directory / "measured.json", directory / "outcome.json"
    others = _other_ranks(directory)
    try:
        streams = put_together([read_stream(directory / f"rank-{rank}" / "events.jsonl") for rank in (0, *others)])
    except (AttributeError, IndexError, TypeError, ValueError):
        raise _damaged(directory, "the parts of its processes do not fit together") from None
    trace = Trace(
        directory,
        header,
        events=streams[0],
        reload=read_stream(directory / "reload" / "events.jsonl"),
        base=read_stream(directory / "base" / "events.jsonl"),
        measured=_measured(directory, measured, directory / "rank-0" / measured.name),
        outcome=_read_json(outcome, directory) if outcome.exists() else {},
    )
    trace.others = [
        replace(
            trace, rank=rank, events=events, measured=_measured(directory, directory / f"rank-{rank}" / measured.name)
        )
        for rank, events in zip(others, streams[1:], strict=True)
    ]
    for one in trace.ranks:
        _ = one.modules, one.parameters  # damage shows now, whatever is asked of the trace later
    return trace


def _other_ranks(directory: Path) -> list[int]:
    names = (path.name.removeprefix("rank-") for path in directory.glob("rank-*"))
    return sorted(int(name) for name in names if name.isdecimal() and name != "0")


def _measured(directory: Path, *paths: Path) -> Record:
    """What was measured of a run, and by a process of it, where anything was."""
    found: Record = {}
    for path in paths:
        found.update(_read_json(path, directory) if path.exists() else {})
    return found


def _read_json(path: Path, directory: Path) -> Record:
    try:
        value = parsed(path.read_bytes(), partial(_Object, path, None))
    except OSError:
        raise Refused(f"is not a trace: no {path.name}", where=str(directory), do="name a trace directory") from None
    except ValueError as error:
        raise Refused(f"{path.name} is damaged: {error}", where=str(directory), do=_AGAIN) from None
    if not isinstance(value, dict):
        raise Refused(f"{path.name} holds no object", where=str(directory), do=_AGAIN)
    return value


def read_stream(path: Path) -> list[Record]:
    """The records of a stream; a last line that was cut off by a killed process is left out."""
    if not path.exists():
        return []
    try:
        *whole, _cut_off = path.read_bytes().split(b"\n")
    except OSError as error:
        raise Refused(f"cannot be read: {error.strerror}", where=str(path), do="name a trace directory") from None
    return [_record(path, number, line) for number, line in enumerate(whole, start=1)]


def _record(path: Path, number: int, line: bytes) -> Record:
    try:
        value = parsed(line, partial(_Object, path, number))
    except ValueError:
        raise _damaged(path, "it is not JSON", number) from None
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        raise _damaged(path, "it is no record, an object with its kind", number)
    return value


def _damaged(path: Path, how: str, line: int | None = None) -> Refused:
    what = f"line {line} is damaged" if line else "is damaged"
    return Refused(f"{what}: {how}", where=str(path), do=_AGAIN)
