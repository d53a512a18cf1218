"""Loss and rate of each step, logged as loops do it, and read back from what lies on the disk afterwards.

Steps are counted from one, as trainers say how many were made. Nothing leaves the machine.
"""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from harness.recipe.choices import Logging

NAMES = ("loss", "learning_rate")
FILE = "log.csv"


class Log(Protocol):
    """Takes the values of a step by name."""

    def add(self, step: int, values: dict[str, float]) -> None: ...

    def close(self) -> None: ...


class CsvLog:
    """A file of lines, the loop's own."""

    def __init__(self, directory: Path) -> None:
        self._file = (directory / FILE).open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file)
        self._rows.writerow(("step", *NAMES))

    def add(self, step: int, values: dict[str, float]) -> None:
        self._rows.writerow((step, *(repr(values[name]) for name in NAMES)))

    def close(self) -> None:
        self._file.close()


class TensorboardLog:
    """TensorBoard's event files, by torch's own writer."""

    def __init__(self, directory: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(directory))

    def add(self, step: int, values: dict[str, float]) -> None:
        for name in NAMES:
            self._writer.add_scalar(f"train/{name}", values[name], step)

    def close(self) -> None:
        self._writer.close()


class WandbLog:
    """Weights & Biases, offline."""

    def __init__(self, directory: Path) -> None:
        import wandb

        self._run = wandb.init(mode="offline", dir=str(directory), project="harness", settings={"silent": True})

    def add(self, step: int, values: dict[str, float]) -> None:
        self._run.log({f"train/{name}": values[name] for name in NAMES}, step=step)

    def close(self) -> None:
        import wandb

        self._run.finish()
        wandb.teardown()  # its process writes the file to its end only then


LOGS: dict[str, type[Log]] = {"csv": CsvLog, "tensorboard": TensorboardLog, "wandb": WandbLog}


def opened(kind: Logging, directory: Path) -> Log:
    """A log of a kind, in a directory that is made for it."""
    directory.mkdir(parents=True, exist_ok=True)
    log: Any = LOGS[kind]
    made: Log = log(directory)
    return made


@contextlib.contextmanager
def logged(kind: Logging | None, directory: Path, recorder: Any) -> Iterator[dict[str, Log]]:
    """What an engine is told of a log, if there is one; what lies on the disk afterwards is put into the trace."""
    if kind is None:
        yield {}
        return
    place = directory / "logs"
    log = opened(kind, place)
    try:
        yield {"log": log}
    finally:
        log.close()
    recorder.stream.emit("logged", by=kind, **read_back(kind, place))


def read_back(kind: Logging, directory: Path) -> dict[str, list[Any]]:
    """What a log holds, as columns: step, and each of the values."""
    rows = list(_READERS[kind](directory))
    return {name: [row.get(name) for row in rows] for name in ("step", *NAMES)}


def _csv(directory: Path) -> Iterator[dict[str, Any]]:
    with (directory / FILE).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield {"step": int(row["step"]), **{name: float(row[name]) for name in NAMES}}


def _tensorboard(directory: Path) -> Iterator[dict[str, Any]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(directory), size_guidance={"scalars": 0})
    events.Reload()
    known = events.Tags()["scalars"]
    rows: dict[int, dict[str, Any]] = {}
    for name in NAMES:
        for event in events.Scalars(f"train/{name}") if f"train/{name}" in known else ():
            rows.setdefault(int(event.step), {"step": int(event.step)})[name] = float(event.value)
    yield from rows.values()


def _wandb(directory: Path) -> Iterator[dict[str, Any]]:
    from wandb.proto import wandb_internal_pb2

    for data in _records(next(iter(sorted(directory.rglob("*.wandb")))).read_bytes()):
        record: Any = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "history":
            items = record.history.item
            values = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
            row = {name: float(values[f"train/{name}"]) for name in NAMES if f"train/{name}" in values}
            yield {"step": int(values.get("_step", record.history.step.num)), **row}


HEAD, BLOCK = 7, 1 << 15  # bytes before the first record, and before each; and of the blocks that records lie in
WHOLE, LAST = 1, 4


def _records(content: bytes) -> Iterator[bytes]:
    """The records of a `.wandb` file, which is a log of LevelDB: a checksum, a length and a kind before each, whole or
    in parts, none of which crosses a block."""
    at, parts = HEAD, b""
    while at + HEAD <= len(content):
        if (left := BLOCK - at % BLOCK) < HEAD:
            at += left
            continue
        length, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        parts += content[at + HEAD : at + HEAD + length]
        at += HEAD + length
        if kind in (WHOLE, LAST):
            yield parts
            parts = b""


_READERS = {"csv": _csv, "tensorboard": _tensorboard, "wandb": _wandb}
