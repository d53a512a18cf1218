"""What goes to disk comes back: a recipe as YAML, a trace as the files that it was written into."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from harness.recipe import Recipe
from harness.strategies.shown import as_settings, as_yaml
from harness.trace.arrays import read_header, tensors_of
from harness.trace.reader import read_stream, read_trace

if TYPE_CHECKING:
    from harness.trace.reader import Record, Trace

EVENTS = "events.jsonl"


def recipe_comes_back(recipe: Recipe) -> str:
    """How a recipe differs from itself written as YAML and read again; nothing where it does not."""
    again = Recipe.model_validate(yaml.safe_load(as_yaml(recipe)))
    if as_settings(again) == as_settings(recipe):
        return ""
    return f"as YAML and read again, the recipe says {as_settings(again)}"


def trace_comes_back(directory: Path) -> str:
    """How a trace differs from itself read and written anew; nothing where it does not.

    Records are equal, and arrays byte for byte. In a stream that was read, numbers that are whole have no decimal point
    any more, and stand in another place of their line: what is written of it and read a second time is equal byte for
    byte.
    """
    with tempfile.TemporaryDirectory(prefix="harness-anew-") as folder:
        once, twice = Path(folder) / "once", Path(folder) / "twice"
        _written_anew(directory, once)
        _written_anew(once, twice)
        if not _same(read_trace(directory), read_trace(once)):
            return "read and written anew, the trace is another"
        for one in sorted(path.relative_to(directory) for path in directory.rglob("*") if path.is_file()):
            first = directory if one.name != EVENTS else once
            if (first / one).read_bytes() != (twice / one).read_bytes():
                return f"read and written anew, {one} has other bytes"
    return ""


def _same(one: Trace, other: Trace) -> bool:
    """Whether two traces say the same, wherever they lie."""
    return all(
        (first.header, first.events, first.reload, first.base, first.measured, first.outcome)
        == (second.header, second.events, second.reload, second.base, second.measured, second.outcome)
        for first, second in zip(one.ranks, other.ranks, strict=True)
    )


def _written_anew(directory: Path, target: Path) -> None:
    """What a trace's directory holds, read and written by what writes traces."""
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        copy = target / path.relative_to(directory)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.name == EVENTS:
            _write_stream(read_stream(path), copy.parent)
        elif path.suffix == ".safetensors":
            _write_arrays(path, copy)
        else:
            copy.write_bytes(_json_again(path.read_bytes()) if path.name == "header.json" else path.read_bytes())


def _write_stream(records: list[Record], directory: Path) -> None:
    from harness.trace.writer import StreamWriter

    stream = StreamWriter(directory)
    for record in records:
        stream.emit(**record)
    stream.close()


def _write_arrays(path: Path, copy: Path) -> None:
    """Arrays by the library's own reader, in the order in which they lie."""
    from safetensors.torch import load_file

    from harness.trace.writer import write_safetensors

    header = tensors_of(read_header(path))
    order = sorted(header, key=lambda name: tuple(header[name]["data_offsets"]))
    tensors = load_file(path)
    write_safetensors(copy, {name: tensors[name] for name in order})


def _json_again(data: bytes) -> bytes:
    return (json.dumps(json.loads(data), indent=1, sort_keys=True) + "\n").encode()
