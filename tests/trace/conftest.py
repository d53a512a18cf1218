import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.trace.reader import Trace, read_trace

WriteTrace = Callable[..., Path]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def write_trace(tmp_path: Path) -> WriteTrace:
    """Writes a trace directory: header, the training stream as records or raw text, further files."""

    def write(
        events: Iterable[dict[str, Any]] | str = (), header: Any = None, files: dict[str, str] | None = None
    ) -> Path:
        lines = events if isinstance(events, str) else "".join(json.dumps(event) + "\n" for event in events)
        texts = {
            "header.json": json.dumps({"format": 1} if header is None else header),
            "rank-0/events.jsonl": lines,
            **(files or {}),
        }
        for name, text in texts.items():
            path = tmp_path / "trace" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path / "trace"

    return write


@pytest.fixture
def traced(write_trace: WriteTrace) -> Callable[..., Trace]:
    """Writes a trace directory and reads it."""
    return lambda *args, **kwargs: read_trace(write_trace(*args, **kwargs))
