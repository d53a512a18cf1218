"""The arrays that a trace holds: the last values of a small model's parameters, and the outputs of its probe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.trace.arrays import read_arrays

if TYPE_CHECKING:
    import numpy.typing as npt

    from harness.trace.reader import Trace


def final_values(trace: Trace) -> dict[int, npt.NDArray[Any]]:
    """The last value of each parameter, by its index; nothing for a model too large to be kept."""
    return {int(name.split("/")[1]): values for name, values in _final(trace).items() if name.startswith("last/")}


def _final(trace: Trace) -> dict[str, npt.NDArray[Any]]:
    stored = next((event.get("arrays") for event in trace.of("final")), None)
    return read_arrays(Path(trace.directory) / f"rank-{trace.rank}" / stored) if stored else {}


def output_values(trace: Trace) -> dict[str, npt.NDArray[Any]]:
    """The logits of the trained model, by sample."""
    probe = trace.probe("outputs")
    if probe is None or not probe.get("arrays"):
        return {}
    return read_arrays(Path(trace.directory) / f"rank-{trace.rank}" / probe["arrays"])
