"""Values of a model that is too large to be held twice: fingerprints alone, a piece at a time, and no copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from harness.trace.fingerprint import as_hex, fingerprint

if TYPE_CHECKING:
    from harness.recording.values import Columns


class HashedValues:
    """The values of parameters as columns in their order. Of a parameter that changed, all elements count as changed:
    how many really did is not known without what was there before."""

    def __init__(self, parameters: Sequence[torch.Tensor]) -> None:
        self.parameters = list(parameters)
        self._columns: Columns = {name: [] for name in ("fingerprint", "changed", "rms", "peak")}
        self.observe()

    def observe(self) -> Columns:
        """Read all values again."""
        before = self._columns["fingerprint"]
        prints = [as_hex(fingerprint(parameter)) for parameter in self.parameters]
        self._columns = {
            "fingerprint": prints,
            "changed": [
                parameter.numel() if before and now != before[index] else 0
                for index, (parameter, now) in enumerate(zip(self.parameters, prints))
            ],
            "rms": [_rms(parameter) for parameter in self.parameters],
            "peak": [float(p.detach().abs().max()) if p.numel() else 0.0 for p in self.parameters],
        }
        return self._columns

    @property
    def columns(self) -> Columns:
        """The columns of the last observation."""
        return self._columns

    def nearly_all_changed(self) -> list[bool]:
        """Never known."""
        return [False] * len(self.parameters)


def _rms(parameter: torch.Tensor) -> float:
    count = parameter.numel()
    return float(torch.linalg.vector_norm(parameter.detach(), dtype=torch.float32)) / count**0.5 if count else 0.0
