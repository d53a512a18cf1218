"""What a model's parameters are worth at a moment: fingerprints, elements changed, size; and their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from harness.recording.segments import Segments, nonzero, norms
from harness.trace.fingerprint import as_hex, fingerprint

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
            changed = segments.changed(segments.lay())
            self._put("changed", indices, changed)
            if any(changed):
                self._measure(indices, segments)
        return self._columns

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


def gradient_nonzeros(parameters: Sequence[torch.Tensor]) -> list[int | None]:
    """How many elements of each parameter's gradient are not zero, None where there is no gradient."""
    return _per_gradient(parameters, nonzero)


def _per_gradient(parameters: Sequence[torch.Tensor], measure: Any) -> list[Any]:
    there = [(index, p.grad) for index, p in enumerate(parameters) if p.grad is not None]
    found: list[Any] = [None] * len(parameters)
    for (index, _), value in zip(there, measure([gradient for _, gradient in there])):
        found[index] = value
    return found


def digest(tensors: Sequence[torch.Tensor]) -> str:
    """One fingerprint over many tensors, by dtype, laid end to end."""
    by_dtype: dict[torch.dtype, list[torch.Tensor]] = {}
    for tensor in tensors:
        by_dtype.setdefault(tensor.dtype, []).append(tensor.detach().reshape(-1))
    return as_hex(sum(fingerprint(_words(torch.cat(parts))) for parts in by_dtype.values()))


def _words(flat: torch.Tensor) -> torch.Tensor:
    """The same bytes as 64-bit words where they fit: a digest does not need its elements one by one."""
    words = flat.numel() * flat.element_size() // 8 * 8 // flat.element_size()
    return flat.view(torch.int64) if words == flat.numel() and flat.numel() else flat
