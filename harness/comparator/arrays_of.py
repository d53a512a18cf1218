"""The arrays that a trace holds: the last values of a small model's parameters, and the outputs of its probe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.trace.arrays import read_arrays

if TYPE_CHECKING:
    import numpy.typing as npt

    from harness.trace.reader import Trace


def final_values(trace: Trace) -> dict[int, npt.NDArray[Any]]:
    """The last value of each parameter, by its index; nothing for a model too large to be kept."""
    if any(event.get("sizes") for event in trace.of("deepspeed")):
        return _put_together(trace)
    return _last(_final(trace))


def _last(arrays: dict[str, npt.NDArray[Any]]) -> dict[int, npt.NDArray[Any]]:
    return {int(name.split("/")[1]): values for name, values in arrays.items() if name.startswith("last/")}


def _put_together(trace: Trace) -> dict[int, npt.NDArray[Any]]:
    """Of parameters that lie in parts with several processes: the parts one after the other."""
    parts = [_last(_final(one)) for one in sorted(trace.ranks, key=lambda one: one.rank)]
    shapes = {parameter.index: parameter.shape for parameter in trace.parameters}
    whole = {index: np.concatenate([part[index].reshape(-1) for part in parts]) for index in parts[0]}
    return {index: values.reshape(shapes[index]) for index, values in whole.items()}


def _final(trace: Trace) -> dict[str, npt.NDArray[Any]]:
    stored = next((event.get("arrays") for event in trace.of("final")), None)
    return read_arrays(Path(trace.directory) / f"rank-{trace.rank}" / stored) if stored else {}


def output_values(trace: Trace) -> dict[str, npt.NDArray[Any]]:
    """The logits of the trained model, by sample."""
    probe = trace.probe("outputs")
    if probe is None or not probe.get("arrays"):
        return {}
    return read_arrays(Path(trace.directory) / f"rank-{trace.rank}" / probe["arrays"])
