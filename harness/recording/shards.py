"""Values of parameters that ZeRO or torch has taken apart: of each, the part that lies in this process.

A process writes down the part that it has, and none asks another: fingerprints add up over parts, and whoever reads the
trace puts them together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from harness.recording.flat_parts import FlatPart
from harness.recording.local_parts import LocalPart, is_distributed
from harness.trace.fingerprint import as_hex, fingerprint

if TYPE_CHECKING:
    from harness.recording.values import Columns


class ShardValues:
    """The values of parameters of which this process has a part each, as columns in the parameters' order."""

    def __init__(self, parameters: Sequence[Any], copied: int | None = None) -> None:
        """Of more than `copied` elements no copy is kept: all of a part that changed counts as changed."""
        self._shards = [part_of(parameter) for parameter in parameters]
        self._before: list[torch.Tensor] = []
        self.whole = [index for index, shard in enumerate(self._shards) if shard.whole]
        self._copies = copied is None or sum(self.sizes) <= copied
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
        prints = [as_hex(fingerprint(part, shard.start)) for part, shard in zip(now, self._shards)]
        self._columns = {
            "fingerprint": prints,
            "changed": self._changed(now, prints),
            "rms": [_rms(part) for part in now],
            "peak": [float(part.abs().max()) if part.numel() else 0.0 for part in now],
        }
        self._before = [part.clone() for part in now] if self._copies else []
        return self._columns

    @property
    def held(self) -> int:
        """How many bytes are kept."""
        return sum(part.numel() * part.element_size() for part in self._before)

    def _changed(self, now: list[torch.Tensor], prints: list[str]) -> list[int]:
        if self._copies:
            return [_differing(part, old) for part, old in zip(now, self._before or now)]
        before = self._columns["fingerprint"] or prints
        return [part.numel() * (new != old) for part, new, old in zip(now, prints, before)]

    @property
    def columns(self) -> Columns:
        """The columns of the last observation."""
        return self._columns

    def nearly_all_changed(self) -> list[bool]:
        """Never known of the whole: the other parts are elsewhere."""
        return [False] * len(self._shards)


class Shard:
    """Where a partitioned parameter's part is looked up: DeepSpeed gives it other memory as it goes."""

    whole = False

    def __init__(self, parameter: Any) -> None:
        self._parameter = parameter
        self.start = min(_rank_of(parameter) * parameter.ds_tensor.ds_numel, parameter.ds_numel)
        self._size = min(parameter.ds_tensor.ds_numel, parameter.ds_numel - self.start)

    def __call__(self) -> torch.Tensor:
        found: torch.Tensor = self._parameter.ds_tensor.data.view(-1)[: self._size]
        return found


class _Whole:
    """The same for a parameter that was left as it is: each process has its own."""

    whole = True

    def __init__(self, parameter: Any) -> None:
        self._parameter = parameter
        self.start = 0

    @property
    def grad(self) -> torch.Tensor | None:
        gradient: torch.Tensor | None = self._parameter.grad
        return gradient

    def __call__(self) -> torch.Tensor:
        whole: torch.Tensor = self._parameter.data.reshape(-1)
        return whole


def part_of(parameter: Any) -> Any:
    """What a process has of a parameter of a model of which each has a part, and its part of the gradient."""
    if isinstance(parameter, FlatPart):
        return parameter
    if is_distributed(parameter):
        return LocalPart(parameter)
    return Shard(parameter) if hasattr(parameter, "ds_tensor") else _Whole(parameter)


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
