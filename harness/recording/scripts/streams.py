"""The stream of a process that may turn out not to train: nothing is on disk before a model met its optimizer."""

from __future__ import annotations

import itertools
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import torch

from harness.trace.atomic import write_atomically
from harness.trace.schema import FORMAT_VERSION
from harness.trace.writer import StreamWriter

BEFORE = 1000  # records that are kept of a process that does not train yet


class ScriptStream(StreamWriter):
    """As any other stream, from `claim` on. Processes of one training share a trace directory; the next training in
    the same command gets one of its own."""

    def __init__(self, out: Path, name: str = "trace") -> None:
        self._out, self._name = out, name
        self._file: Any = None
        self._arrays = 0
        self._pending = []

    @property
    def claimed(self) -> bool:
        return self._file is not None

    def claim(self) -> None:
        """Take a place in a trace directory: the process is one that trains."""
        if self.claimed:
            return
        rank = rank_here()
        for number in itertools.count(1):
            trace = self._out / (self._name if number == 1 else f"{self._name}-{number}")
            self.directory = trace / f"rank-{rank}"
            trace.mkdir(parents=True, exist_ok=True)
            try:
                self.directory.mkdir()
            except FileExistsError:
                continue
            break
        self._file = (self.directory / "events.jsonl").open("w", encoding="utf-8")
        header = {"format": FORMAT_VERSION, "recipe_id": name_here(), "intent": None, "script": True}
        header["environment"] = environment()
        if rank == 0 or not (trace / "header.json").exists():
            write_atomically(trace / "header.json", json.dumps(header, indent=1, sort_keys=True) + "\n")

    def emit(self, kind: str, **record: Any) -> None:
        super().emit(kind, **record)
        if not self.claimed and len(self._pending) > BEFORE:
            del self._pending[0]

    def flush(self) -> None:
        if self.claimed:
            super().flush()

    def close(self) -> None:
        if self.claimed:
            super().close()
            self._file = None


def rank_here() -> int:
    """Which of its training's processes this one is: by its group, by what its launcher says, or the only one."""
    group: Any = torch.distributed
    if group.is_available() and group.is_initialized():
        return int(group.get_rank())
    told = os.environ.get("RANK", "0")
    return int(told) if told.isdecimal() else 0


def name_here() -> str:
    """The script's name."""
    return Path(sys.argv[0] or "script").name if sys.argv else "script"


def environment() -> dict[str, Any]:
    """Where the script runs: versions of what it has imported, Python and the machine."""
    known = ("torch", "transformers", "peft", "accelerate", "deepspeed", "trl", "lightning", "numpy", "safetensors")
    modules = {name: sys.modules.get(name) for name in known}
    versions = {name: str(getattr(module, "__version__", "?")) for name, module in modules.items() if module}
    cuda: Any = torch.cuda
    return {
        "versions": {"python": platform.python_version(), **versions},
        "platform": f"{platform.system()} {platform.machine()}",
        "device": "cuda" if cuda.is_available() and cuda.is_initialized() else "cpu",
        "threads": torch.get_num_threads(),
    }
