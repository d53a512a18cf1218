"""What a model's parameters are worth at a moment: fingerprints, elements changed, size; and their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.recording.segments import Segments, nonzero, norms
from harness.trace.fingerprint import as_hex

if TYPE_CHECKING:
    import torch

Columns = dict[str, list[Any]]


class Values:
    """The values of parameters over a run, as columns in the parameters' order.

    Parameters are grouped by dtype, device and requires_grad: where a whole group of frozen ones is bit-equal to what
    it was, nothing else needs to be computed.
    """

    def __init__(self, parameters: Sequence[torch.Tensor]) -> None:
        self.parameters = list(parameters)
        groups: dict[tuple[Any, ...], list[int]] = {}
        for index, parameter in enumerate(self.parameters):
            if parameter.numel():
                groups.setdefault((parameter.dtype, parameter.device, parameter.requires_grad), []).append(index)
        self._groups = [(indices, Segments([self.parameters[i] for i in indices])) for indices in groups.values()]
        self._sizes = [parameter.numel() for parameter in self.parameters]
        self._columns: Columns = {
            "fingerprint": [as_hex(0)] * len(self.parameters),
            "changed": [0] * len(self.parameters),
            "rms": [0.0] * len(self.parameters),
            "peak": [0.0] * len(self.parameters),
        }
        for indices, segments in self._groups:
            self._measure(indices, segments)

    def observe(self) -> Columns:
        """Read all values again. `changed` counts the elements that differ from the last observation."""
        for indices, segments in self._groups:
            changed = segments.changed()
            self._put("changed", indices, changed)
            if any(changed):
                self._measure(indices, segments)
        return self._columns

    def wholly_changed(self) -> list[bool]:
        """Of each parameter, whether the last observation found every element changed."""
        return [changed == size for changed, size in zip(self._columns["changed"], self._sizes)]

    @property
    def columns(self) -> Columns:
        """The columns of the last observation."""
        return self._columns

    def _measure(self, indices: list[int], segments: Segments) -> None:
        self._put("fingerprint", indices, [as_hex(value) for value in segments.fingerprints()])
        if segments.tensors[0].is_floating_point():
            lengths, largest = segments.norms_and_peaks()
            roots = [length / self._sizes[index] ** 0.5 for length, index in zip(lengths, indices)]
            self._put("rms", indices, roots)
            self._put("peak", indices, largest)

    def _put(self, column: str, indices: list[int], values: Sequence[Any]) -> None:
        target = self._columns[column]
        for index, value in zip(indices, values):
            target[index] = value


def gradient_norms(parameters: Sequence[torch.Tensor]) -> list[float | None]:
    """The 2-norm of each parameter's gradient, None where there is none."""
    return _per_gradient(parameters, norms)


def gradient_nonzeros(parameters: Sequence[torch.Tensor], skip: Sequence[bool]) -> list[int | None]:
    """How many elements of each parameter's gradient are not zero, None where there is no gradient or it is skipped."""
    wanted = iter(_per_gradient([p for p, left_out in zip(parameters, skip) if not left_out], nonzero))
    return [None if left_out else next(wanted) for left_out in skip]


def _per_gradient(parameters: Sequence[torch.Tensor], measure: Any) -> list[Any]:
    there = [(index, p.grad) for index, p in enumerate(parameters) if p.grad is not None]
    found: list[Any] = [None] * len(parameters)
    for (index, _), value in zip(there, measure([gradient for _, gradient in there])):
        found[index] = value
    return found
