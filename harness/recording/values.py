"""What a model's parameters are worth at a moment: fingerprints, elements changed, size; and their gradients."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from harness.recording.segments import nonzero, norms
from harness.recording.stretches import Stretches, stretches
from harness.trace.fingerprint import as_hex, as_hexes

if TYPE_CHECKING:
    import torch

Columns = dict[str, list[Any]]


class Values:
    """The values of parameters over a run, as columns in the parameters' order.

    Parameters are grouped by dtype, device and requires_grad, and after the first change by whether they took part in
    it: where a whole group is bit-equal to what it was, nothing else needs to be computed.
    """

    def __init__(self, parameters: Sequence[torch.Tensor]) -> None:
        self.parameters = list(parameters)
        self._sizes = [parameter.numel() for parameter in self.parameters]
        self._roots = [size**0.5 for size in self._sizes]
        self._columns: Columns = {
            "fingerprint": [as_hex(0)] * len(self.parameters),
            "changed": [0] * len(self.parameters),
            "rms": [0.0] * len(self.parameters),
            "peak": [0.0] * len(self.parameters),
        }
        self._groups = self._grouped([parameter.requires_grad for parameter in self.parameters])
        self._first_change_seen = False
        for indices, values in self._groups:
            self._measure(indices, values)

    def _grouped(self, moving: Sequence[bool]) -> list[tuple[list[int], Stretches]]:
        groups: dict[tuple[Any, ...], list[int]] = {}
        for index in sorted(range(len(self.parameters)), key=self._sizes.__getitem__):
            parameter = self.parameters[index]
            if parameter.numel():
                groups.setdefault((parameter.dtype, parameter.device, moving[index]), []).append(index)
        return [(indices, stretches([self.parameters[i] for i in indices])) for indices in groups.values()]

    def observe(self) -> Columns:
        """Read all values again. `changed` counts the elements that differ from the last observation."""
        for indices, values in self._groups:
            changed = values.changed()
            self._put("changed", indices, changed)
            if any(changed):
                self._measure(indices, values)
        if not self._first_change_seen and any(self._columns["changed"]):
            self._first_change_seen = True
            self._groups = self._grouped([changed > 0 for changed in self._columns["changed"]])
        return self._columns

    def nearly_all_changed(self) -> list[bool]:
        """Of each parameter, whether the last observation found all but a hundredth of its elements changed."""
        return [100 * changed >= 99 * size for changed, size in zip(self._columns["changed"], self._sizes)]

    @property
    def columns(self) -> Columns:
        """The columns of the last observation."""
        return self._columns

    def _measure(self, indices: list[int], values: Stretches) -> None:
        self._put("fingerprint", indices, as_hexes(values.fingerprints()))
        if self.parameters[indices[0]].is_floating_point():
            lengths, largest = values.norms_and_peaks()
            self._put("rms", indices, map(operator.truediv, lengths, map(self._roots.__getitem__, indices)))
            self._put("peak", indices, largest)

    def _put(self, column: str, indices: list[int], values: Iterable[Any]) -> None:
        deque(map(self._columns[column].__setitem__, indices, values), maxlen=0)


def gradient_norms(parameters: Sequence[torch.Tensor]) -> list[float | None]:
    """The 2-norm of each parameter's gradient, None where there is none."""
    return _per_gradient(parameters, norms)


def gradient_nonzeros(parameters: Sequence[torch.Tensor], skip: Sequence[bool]) -> list[int | None]:
    """How many elements of each parameter's gradient are not zero, None where there is no gradient or it is skipped."""
    found: list[int | None] = [None] * len(skip)
    if all(skip):
        return found
    counted = [index for index, left_out in enumerate(skip) if not left_out]
    for index, count in zip(counted, _per_gradient([parameters[index] for index in counted], nonzero)):
        found[index] = count
    return found


def _per_gradient(parameters: Sequence[torch.Tensor], measure: Any) -> list[Any]:
    gradients = [parameter.grad for parameter in parameters]
    found = iter(measure([gradient for gradient in gradients if gradient is not None]))
    return [None if gradient is None else next(found) for gradient in gradients]
