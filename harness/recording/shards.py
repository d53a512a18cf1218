"""Values of parameters that ZeRO or fully_shard has taken apart: of each, the part that lies in this process.

A process writes down the part that it has, and none asks another: fingerprints add up over parts, and whoever reads the
trace puts them together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from harness.recording.local_parts import LocalPart, is_distributed
from harness.trace.fingerprint import as_hex, fingerprint

if TYPE_CHECKING:
    from harness.recording.values import Columns


class ShardValues:
    """The values of parameters of which this process has a part each, as columns in the parameters' order."""

    def __init__(self, parameters: Sequence[Any]) -> None:
        self._shards = [_shard_of(parameter) for parameter in parameters]
        self._before: list[torch.Tensor] = []
        self._columns: Columns = {name: [] for name in ("fingerprint", "changed", "rms", "peak")}
        self.observe()

    @property
    def sizes(self) -> list[int]:
        return [shard.numel() for shard in self.now()]

    def now(self) -> list[torch.Tensor]:
        """The part of each parameter that lies here, without what it was filled up with."""
        return [shard.detach() for shard in (held() for held in self._shards)]

    def observe(self) -> Columns:
        """Read all values again. `changed` counts the elements that differ from the last observation."""
        now = self.now()
        starts = [shard.start for shard in self._shards]
        before = self._before or now
        self._columns = {
            "fingerprint": [as_hex(fingerprint(part, start)) for part, start in zip(now, starts)],
            "changed": [_differing(part, old) for part, old in zip(now, before)],
            "rms": [_rms(part) for part in now],
            "peak": [float(part.abs().max()) if part.numel() else 0.0 for part in now],
        }
        self._before = [part.clone() for part in now]
        return self._columns

    @property
    def columns(self) -> Columns:
        """The columns of the last observation."""
        return self._columns

    def nearly_all_changed(self) -> list[bool]:
        """Never known of the whole: the other parts are elsewhere."""
        return [False] * len(self._shards)


class Shard:
    """Where a partitioned parameter's part is looked up: DeepSpeed gives it other memory as it goes."""

    def __init__(self, parameter: Any) -> None:
        self._parameter = parameter
        self.start = min(_rank_of(parameter) * parameter.ds_tensor.ds_numel, parameter.ds_numel)
        self._size = min(parameter.ds_tensor.ds_numel, parameter.ds_numel - self.start)

    def __call__(self) -> torch.Tensor:
        found: torch.Tensor = self._parameter.ds_tensor.data.view(-1)[: self._size]
        return found


class _Whole:
    """The same for a parameter that was left as it is: the first process speaks for all."""

    def __init__(self, parameter: Any) -> None:
        self._parameter = parameter
        self.start = 0

    def __call__(self) -> torch.Tensor:
        whole: torch.Tensor = self._parameter.data.view(-1)
        return whole if _rank() == 0 else whole[:0]


def _shard_of(parameter: Any) -> Any:
    if is_distributed(parameter):
        return LocalPart(parameter)
    return Shard(parameter) if hasattr(parameter, "ds_tensor") else _Whole(parameter)


def _rank() -> int:
    there = torch.distributed.is_available() and torch.distributed.is_initialized()
    return torch.distributed.get_rank() if there else 0


def _rank_of(parameter: Any) -> int:
    return torch.distributed.get_rank(parameter.ds_process_group)


def _differing(now: torch.Tensor, before: torch.Tensor) -> int:
    """How many elements have another bit pattern."""
    if not now.numel():
        return 0
    width = now.element_size()
    pairs = (tensor.contiguous().view(torch.uint8).view(-1, width) for tensor in (now, before))
    one, other = pairs
    return int((one != other).any(1).sum())


def _rms(part: torch.Tensor) -> float:
    return float(torch.linalg.vector_norm(part.double())) / part.numel() ** 0.5 if part.numel() else 0.0


def is_partitioned(parameters: Sequence[Any]) -> bool:
    """Whether ZeRO has taken parameters apart."""
    return any(hasattr(parameter, "ds_tensor") for parameter in parameters)
