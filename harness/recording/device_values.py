"""What parameters on an accelerator are worth at a moment. They are read where they are, and only numbers come over.

An accelerator is waited for twice at a step, however many parameters there are: for the fingerprints, and for what
follows from those that are others. Of so many elements no second copy fits: of parameters that train it is kept up to a
limit, of all others a few thousand elements, from which the share that has changed is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from harness.recording.segments import norm_of
from harness.trace.fingerprint import as_hex, bits, words_per_element
from harness.trace.fingerprints import Fingerprints

if TYPE_CHECKING:
    from harness.recording.values import Columns

KEPT = 1 << 28  # elements of trained parameters, all together, of which a copy is kept
SAMPLED = 1 << 14  # elements of any other parameter


class DeviceValues:
    """The values of parameters over a run, as columns in the parameters' order."""

    def __init__(self, parameters: Sequence[torch.Tensor], kept: int = KEPT) -> None:
        self.parameters = list(parameters)
        self._sizes = [parameter.numel() for parameter in self.parameters]
        trained = sum(parameter.numel() for parameter in self.parameters if parameter.requires_grad)
        self._strides = [self._stride(parameter, trained <= kept) for parameter in self.parameters]
        self._before = [self._looked_at(index).clone() for index in range(len(self.parameters))]
        self._fingerprints = Fingerprints(self.parameters)
        self._last = self._fingerprints()
        self._columns: Columns = {
            "fingerprint": [as_hex(value) for value in self._last],
            "changed": [0] * len(self.parameters),
            "rms": [0.0] * len(self.parameters),
            "peak": [0.0] * len(self.parameters),
        }
        self._measure([index for index, size in enumerate(self._sizes) if size])
        self._columns["changed"] = [0] * len(self.parameters)

    @property
    def columns(self) -> Columns:
        """The columns of the last observation."""
        return self._columns

    @property
    def sampled(self) -> bool:
        """Whether how much of a parameter has changed is told from a part of its elements."""
        return any(stride > 1 for stride in self._strides)

    def observe(self) -> Columns:
        """Read all values again. `changed` counts the elements that differ from the last observation."""
        now = self._fingerprints()
        moved = [index for index, value in enumerate(now) if value != self._last[index]]
        self._last = now
        self._columns = {**self._columns, "changed": [0] * len(now)}
        self._columns["fingerprint"] = [as_hex(value) for value in now]
        self._measure(moved)
        return self._columns

    def nearly_all_changed(self) -> list[bool]:
        """Of each parameter, whether the last observation found all but a hundredth of its elements changed."""
        return [100 * changed >= 99 * size for changed, size in zip(self._columns["changed"], self._sizes)]

    def _stride(self, parameter: torch.Tensor, whole: bool) -> int:
        return 1 if whole and parameter.requires_grad else max(1, -(-parameter.numel() // SAMPLED))

    def _looked_at(self, index: int) -> torch.Tensor:
        """The words of a parameter's elements, all or some, one row an element."""
        parameter = self.parameters[index]
        return bits(parameter).view(-1, words_per_element(parameter.dtype))[:: self._strides[index]]

    def _measure(self, indices: list[int]) -> None:
        """How much of these has changed, and how large they are."""
        if not indices:
            return
        device = self.parameters[0].device
        rows = torch.stack([self._facts(index).to(device) for index in indices]).tolist()
        columns = {name: list(self._columns[name]) for name in ("changed", "rms", "peak")}
        for index, (differ, norm, peak) in zip(indices, rows):
            size, seen = self._sizes[index], len(self._before[index])
            columns["changed"][index] = min(size, max(1, round(differ / seen * size)))
            columns["rms"][index], columns["peak"][index] = norm / size**0.5, peak
        self._columns = {**self._columns, **columns}

    def _facts(self, index: int) -> torch.Tensor:
        """Elements that differ among those looked at, 2-norm, largest magnitude; they become what was seen last."""
        now, parameter = self._looked_at(index), self.parameters[index].detach()
        differ = torch.count_nonzero((now != self._before[index]).any(1))
        self._before[index].copy_(now)
        if parameter.is_floating_point() and parameter.element_size() > 1:
            sizes = [norm_of(parameter), torch.linalg.vector_norm(parameter, float("inf"))]
        else:
            sizes = [differ * 0, differ * 0]
        return torch.stack([differ.double(), *(size.double() for size in sizes)])
