"""Two recordings of one small run, written by hand; a test alters the second in as little as possible."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from harness.comparator import Comparison, compare
from harness.trace.reader import Trace

Record = dict[str, Any]
KEYS = ("vision.weight", "connector.weight", "language.weight", "language.twin")
STEPS = 3
RULES = {"components": [["vision", "vision"], ["connector", "connector"], ["language", "language"]]}


def _step(step: int) -> list[Record]:
    at = {"step": step, "micro": 0}
    count = len(KEYS)
    seen, dtypes = {"samples": [f"s{step}"], "pixels": "p"}, {"Linear": ["float32"]}
    values = {
        "fingerprint": [f"{key}-{step}" for key in KEYS],
        "changed": [4] * count,
        "rms": [1.0 + step + place for place in range(count)],
        "peak": [2.0] * count,
    }
    return [
        {"kind": "forward", **at, "training": True, "loss": 7.0 - step, "labels": 3, **seen, "dtypes": dtypes},
        {"kind": "backward", **at, "value": 7.0 - step},
        *(
            {"kind": "gradients", **at, "moment": moment, "norm": [None, 0.5, 0.25, 0.125]}
            for moment in ("backward", "unscale", "optimizer")
        ),
        {"kind": "clip", **at, "max_norm": 1.0, "total": 0.75},
        {
            "kind": "optimizer_step",
            **at,
            "skipped": False,
            "lr": [1e-3],
            "state": f"state-{step}",
            "rng": f"random-{step}",
            "values": {"model0": values},
        },
        {"kind": "scaler_update", **at, "before": 1024.0, "after": 1024.0},
    ]


def _events() -> list[Record]:
    count = len(KEYS)
    parameters = {
        "kind": "parameters",
        "model": "model0",
        "path": list(KEYS),
        "shape": [[2, 2]] * count,
        "dtype": ["float32"] * count,
        "role": ["base"] * count,
        "requires_grad": [True] * count,
        "fingerprint": [f"{key}-first" for key in KEYS],
    }
    final = {
        "kind": "final",
        "model": "model0",
        "fingerprint": [f"{key}-last" for key in KEYS],
        "changed_since_last_step": [0] * count,
        "arrays": "arrays-000.safetensors",
    }
    return [
        {"kind": "data", "digest": "data"},
        parameters,
        *(event for step in range(STEPS) for event in _step(step)),
        final,
        {"kind": "closing", "steps": STEPS, "optimizer_states": {"optimizer0": "state"}},
        {"kind": "probe", "name": "outputs", "arrays": "arrays-001.safetensors"},
        {"kind": "probe", "name": "generated", "ids": {"image": [1, 2]}},
    ]


def _reload() -> list[Record]:
    tensors = {key: {"fingerprint": f"{key}-last"} for key in KEYS}
    files = {"config.json": {"bytes": 1, "digest": "config"}, "model.safetensors": {"bytes": 64}}
    return [
        {"kind": "inventory", "tensors": tensors, "files": files},
        {"kind": "reloaded", "model_class": "Demo", "missing": [], "unexpected": []},
    ]


def values() -> dict[str, Any]:
    """The last values of the parameters, no two tensors alike."""
    return {f"last/{at}": np.arange(4, dtype=np.float32).reshape(2, 2) + at + 1 for at in range(len(KEYS))}


def write_arrays(trace: Trace, last: dict[str, Any], outputs: Any) -> None:
    folder = trace.directory / "rank-0"
    folder.mkdir(parents=True, exist_ok=True)
    save_file(last, folder / "arrays-000.safetensors")
    save_file({"image": outputs}, folder / "arrays-001.safetensors")


def logits() -> Any:
    return np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[[], Trace]:
    """Makes another recording of the run, equal to those before."""
    made: list[Trace] = []

    def another() -> Trace:
        header = {
            "recipe": {"family": "demo", "size": "tiny", "optimizer": {"learning_rate": 1e-3}},
            "faults": [],
            "intent": RULES,
            "environment": {"threads": 1, "versions": {"torch": "2.13.0"}},
        }
        trace = Trace(tmp_path / f"trace-{len(made)}", header, events=_events(), reload=_reload())
        write_arrays(trace, values(), logits())
        made.append(trace)
        return trace

    return another


def altered(make: Callable[[], Trace], alter: Callable[[Trace], None], **options: Any) -> Comparison:
    """The comparison of a recording with one that was altered."""
    one, other = make(), make()
    alter(other)
    return compare(one, other, **options)


def at(trace: Trace, kind: str, step: int) -> Any:
    return next(event for event in trace.of(kind) if event["step"] == step)
