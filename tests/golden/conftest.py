"""Goldens of two small recipes, pinned once; tests alter copies of them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.golden.archive import packed, unpacked
from harness.golden.index import INDEX, SUFFIX
from harness.trace.arrays import read_header, tensors_of

SUITE = """
family: llava-1.5-7b
defaults: {size: tiny, steps: 2, optimizer: {learning_rate: 1.0e-3}}
recipes:
  connector: {tune: [connector]}
  lora: {lora: {rank: 2, targets: '.*language_model.*q_proj'}}
"""
Files = dict[str, bytes]


@dataclass(frozen=True)
class Ran:
    """A command that has ended: its exit status, and what it said."""

    status: int
    out: str
    err: str


@dataclass
class Place:
    """A folder with a suite and its goldens."""

    folder: Path
    call: Callable[..., Ran]

    @property
    def golden(self) -> Path:
        return self.folder / "golden"

    def entry(self, name: str) -> dict[str, Any]:
        return json.loads((self.golden / INDEX).read_text())["goldens"][name]

    def pin(self, *arguments: Any) -> Ran:
        return self.call("golden", "pin", *arguments, "--golden", self.golden)

    def verify(self, *arguments: Any) -> Ran:
        return self.call("golden", "verify", *arguments, "--golden", self.golden)

    def found(self, name: str) -> dict[str, Any]:
        """The verdict on one golden, as plain data."""
        ran = self.verify("--recipe", name, "--json")
        assert ran.status in (0, 1), ran
        (one,) = json.loads(ran.out)
        assert (ran.status == 0) == (one["status"] == "holds")
        return one

    def alter(self, name: str, change: Callable[[Files], None]) -> None:
        """Change what was pinned, in a way that nobody can see from outside."""
        index = json.loads((self.golden / INDEX).read_text())
        entry = index["goldens"][name]
        files = unpacked(self.golden / entry["file"])
        change(files)
        data = packed(files)
        (self.golden / entry["file"]).unlink()
        entry["file"] = f"altered{SUFFIX}"
        entry["sha256"], entry["bytes"] = hashlib.sha256(data).hexdigest(), len(data)
        (self.golden / entry["file"]).write_bytes(data)
        (self.golden / INDEX).write_text(json.dumps(index))


@pytest.fixture(scope="module")
def patched(warm: Any) -> Any:
    """The tests' warm parents in the place of a command's own."""
    import harness.running.session

    class Shared:
        def __init__(self, families: Any) -> None:
            self.sockets = warm

        def stop(self) -> None:
            pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(harness.running.session, "WarmParents", Shared)
        yield


@pytest.fixture
def call(patched: Any, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Call a command in this process."""
    from harness.cli.main import status_of

    def run(*arguments: Any) -> Ran:
        capsys.readouterr()
        status = status_of([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Ran(status, said.out, said.err)

    return run


@pytest.fixture(scope="module")
def once(patched: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both recipes pinned."""
    from harness.cli.main import status_of

    folder = tmp_path_factory.mktemp("pinned")
    (folder / "pair.yaml").write_text(SUITE)
    assert status_of(["golden", "pin", str(folder / "pair.yaml"), "--golden", str(folder / "golden")]) == 0
    return folder


@pytest.fixture
def pinned(once: Path, tmp_path: Path, call: Callable[..., Ran]) -> Place:
    """A copy of them, to be altered."""
    return Place(Path(shutil.copytree(once, tmp_path / "pinned")), call)


def edited(files: Files, file: str, name: str, change: Callable[[Any], None]) -> None:
    """Change an array of a safetensors file in place; bfloat16 is none that it can change."""
    data = bytearray(files[file])
    start = 8 + int.from_bytes(data[:8], "little")
    entry = json.loads(bytes(data[8:start]))[name]
    first, last = (start + offset for offset in entry["data_offsets"])
    values = np.frombuffer(bytes(data[first:last]), {"F32": np.float32, "I64": np.int64}[entry["dtype"]]).copy()
    change(values)
    data[first:last] = values.tobytes()
    files[file] = bytes(data)


def names_in(files: Files, file: str, folder: Path) -> list[str]:
    (folder / "arrays").write_bytes(files[file])
    return list(tensors_of(read_header(folder / "arrays")))


def events(files: Files, file: str, kind: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the first record of a kind in a stream."""
    records = [json.loads(line) for line in files[file].splitlines()]
    change(next(record for record in records if record["kind"] == kind))
    files[file] = b"".join(json.dumps(record).encode() + b"\n" for record in records)


def as_json(files: Files, file: str, change: Callable[[Any], None]) -> None:
    value = json.loads(files[file])
    change(value)
    files[file] = json.dumps(value).encode()
