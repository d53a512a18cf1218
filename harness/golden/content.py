"""What a golden keeps of a run: the trace, what was saved, and what that was tried on.

Of the arrays that a trace holds the first values are left out, for they follow from the base, and the last values of
what did not move, for those are the first; fingerprints of both stay. Times stay out, and paths of this machine have
names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.golden.archive import write_files
from harness.places import INPUTS, RELOAD, REQUEST, SAVED
from harness.refusal import Refused
from harness.trace.arrays import read_header, tensors_of
from harness.trace.json_text import parsed
from harness.trace.reader import Trace, read_trace

PROVENANCE = "provenance.json"
TEXT = (".json", ".jsonl", ".md")
NOT_KEPT = ("measured.json",)
_DO = "pin it again: harness golden pin"


@dataclass(frozen=True)
class Places:
    """The paths that files of a run may name, by the names that stand for them in a golden."""

    run: Path
    base: Path
    bases: Path
    suite: Path
    package: Path

    @property
    def names(self) -> dict[str, str]:
        """Longest first: one may lie in another."""
        found = {
            str(place): f"@harness-{name}@"
            for name, place in (
                ("bases", self.bases),
                ("suite", self.suite),
                ("package", self.package),
                ("base", self.base),
                ("run", self.run),
            )
        }
        return dict(sorted(found.items(), key=lambda pair: len(pair[0]), reverse=True))

    def named(self, data: bytes) -> bytes:
        for place, name in self.names.items():
            data = data.replace(place.encode(), name.encode())
        return data

    def placed(self, data: bytes) -> bytes:
        for place, name in self.names.items():
            data = data.replace(name.encode(), place.encode())
        return data


def content_of(places: Places, kept: frozenset[str] | None = None) -> dict[str, bytes]:
    """The files that a golden keeps of a finished run; of its arrays those `kept`, or those that nothing else tells."""
    run = places.run
    trace = read_trace(run / "trace")
    kept = _telling(trace) if kept is None else kept
    files: dict[str, bytes] = {}
    folders = [path for path in sorted((run / "trace").iterdir()) if path.name != "base"]
    for path in (found for top in (*folders, run / SAVED) for found in _files(top)):
        name = path.relative_to(run).as_posix()
        if path.name in NOT_KEPT:
            continue
        slim = path.suffix == ".safetensors" and name.startswith("trace/rank-")
        files[name] = _slimmed(path, kept) if slim else path.read_bytes()
    for name in (REQUEST, INPUTS):
        files[f"{RELOAD}/{name}"] = (run / RELOAD / name).read_bytes()
    return {name: places.named(data) if name.endswith(TEXT) else data for name, data in files.items()}


def arrays_kept(files: Mapping[str, bytes], directory: Path) -> frozenset[str]:
    """The names of all arrays in the trace of a golden that lies in a directory."""
    names = (name for name in files if name.startswith("trace/rank-") and name.endswith(".safetensors"))
    return frozenset(array for name in names for array in tensors_of(read_header(directory / name)))


def lay_out(files: Mapping[str, bytes], directory: Path, places: Places) -> None:
    """A golden's files into a directory. What is loaded names the places of today; the trace keeps its names."""
    loaded = (SAVED, RELOAD)
    text = {n for n in files if n.endswith(TEXT) and n.split("/")[0] in loaded}
    write_files({name: places.placed(data) if name in text else data for name, data in files.items()}, directory)


def request_of(directory: Path) -> dict[str, Any]:
    """What the process that loads a golden's checkpoint is asked. Raises Refused for what is no request."""
    try:
        request = parsed((directory / RELOAD / REQUEST).read_bytes())
    except (OSError, ValueError):
        request = None
    if not isinstance(request, dict):
        raise Refused(f"holds no {RELOAD}/{REQUEST}", where=str(directory), do=_DO)
    return request


def _files(top: Path) -> list[Path]:
    return [path for path in sorted(top.rglob("*")) if path.is_file()] if top.is_dir() else [top]


def _telling(trace: Trace) -> frozenset[str]:
    """The arrays that neither base nor fingerprints tell: the last values of what moved, and all that are no values."""
    moved = {f"last/{p.index}" for one in trace.ranks for p in one.parameters if p.last != p.first}
    stored = {
        name
        for one in trace.ranks
        for path in (trace.directory / f"rank-{one.rank}").glob("*.safetensors")
        for name in tensors_of(read_header(path))
    }
    return frozenset(name for name in stored if name in moved or not name.startswith(("first/", "last/")))


def _slimmed(path: Path, kept: frozenset[str]) -> bytes:
    """A safetensors file with only some of its arrays."""
    entries = tensors_of(read_header(path))
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header: dict[str, Any] = {}
    chunks: list[bytes] = []
    at = 0
    for name, entry in sorted(entries.items(), key=lambda pair: tuple(pair[1]["data_offsets"])):
        if name in kept:
            first, last = entry["data_offsets"]
            header[name] = {**entry, "data_offsets": [at, at + last - first]}
            chunks.append(data[start + first : start + last])
            at += last - first
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *chunks])
