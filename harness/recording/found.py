"""A model that met its optimizer: its parts by name, kept by object identity from then on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from torch.nn.parameter import is_lazy

from harness.recording.adapted import adapted_paths, adapter_facts, role_of
from harness.recording.device_values import DeviceValues
from harness.recording.flat_parts import held_in_place, named_parts
from harness.recording.hashed import HashedValues
from harness.recording.layers import attention_of, kind_of
from harness.recording.local_parts import is_apart, local, splits_layers
from harness.recording.shards import ShardValues, part_of
from harness.recording.values import Values
from harness.trace.fingerprint import as_hex
from harness.trace.fingerprints import Fingerprints
from harness.trace.writer import StreamWriter

if TYPE_CHECKING:
    import torch
    from torch import nn

    AnyValues = Values | ShardValues | DeviceValues | HashedValues
DENSE_ELEMENTS = 8_000_000  # up to here first and last values are kept whole


class FoundModel:
    """The names, roles and values of one model."""

    def __init__(
        self,
        ident: str,
        root: nn.Module,
        readable: Callable[[torch.Tensor], bool] | None = None,
        copied: int | None = None,
    ) -> None:
        self.ident = ident
        self.root, self.begins = root, begin_of(root)
        buffers = root.named_buffers(remove_duplicate=False)
        self.paths, self.parameters, self.ties = _unique(_only(named_parts(root), readable))
        self.buffer_paths, self.buffers, _ = _unique(_only(buffers, readable))
        self._kinds = self._kinds_now()
        self.index = _places(self.parameters)
        self._copied = copied
        size = sum(p.numel() for p in self.parameters)
        large = copied is not None and size > copied  # too large to be held twice
        self.values: AnyValues = _values_of(self.parameters, large, copied)
        self.apart = any(map(is_apart, self.parameters))
        self.dense = size <= DENSE_ELEMENTS and not self.apart
        self.here: list[Any] = list(map(part_of, self.parameters)) if self.apart else self.parameters
        self.first = [p.detach().clone() for p in self.parameters] if self.dense else None

    @property
    def trainable(self) -> list[torch.Tensor]:
        return [parameter for parameter in self.parameters if parameter.requires_grad]

    @property
    def moved(self) -> bool:
        """Whether parameters have another dtype by now, or are on another device: what is known of them is no more."""
        return self._kinds != self._kinds_now()

    def _kinds_now(self) -> list[tuple[torch.dtype, torch.device]]:
        return [(parameter.dtype, parameter.device) for parameter in self.parameters]

    @property
    def shard(self) -> dict[str, Any]:
        """What a record of values says where they are those of a part of each parameter, or where what has changed of
        them is told from a part."""
        if isinstance(self.values, DeviceValues):
            return {"sampled": True} if self.values.sampled else {}
        if not isinstance(self.values, ShardValues):
            return {}
        return {"shard": True, **({"whole": self.values.whole} if self.values.whole else {})}

    @property
    def held(self) -> int:
        """How many bytes are kept of the parameters, at the most."""
        if isinstance(self.values, ShardValues):
            return self.values.held
        copies = (self.first is not None) + (not isinstance(self.values, HashedValues))
        return copies * sum(local(p).numel() * p.element_size() for p in self.parameters if not is_lazy(p))

    def taken_apart(self) -> list[int]:
        """ZeRO has left a part of each parameter here: how many elements of each."""
        self.values = shards = ShardValues(self.parameters, self._copied)
        return shards.sizes

    def observed(self) -> dict[str, Any]:
        """The columns of the values now."""
        return {**self.values.observe(), **self.shard}

    def last_values(self) -> list[torch.Tensor]:
        """What each parameter holds, or the part of it that lies here."""
        return self.values.now() if isinstance(self.values, ShardValues) else self.parameters

    def first_values(self) -> dict[str, torch.Tensor] | None:
        """What each parameter held when the model was found, by path, where that is kept."""
        return None if self.first is None else dict(zip(self.paths, self.first))

    def describe(self, stream: StreamWriter) -> None:
        """Emit the model's module tree, parameters and buffers."""
        modules = [(path, module) for path, module in self.root.named_modules()]
        stream.emit(
            "model",
            model=self.ident,
            type=kind_of(getattr(self.root, "_fsdp_wrapped_module", self.root)),
            modules={
                "path": [path for path, _ in modules],
                "type": [kind_of(module) for _, module in modules],
                "training": [module.training for _, module in modules],
            },
            attention=attention_of(modules),
            **({"split": True} if splits_layers(self.root) else {}),
            adapters={path: facts for path, module in modules if (facts := adapter_facts(module)) is not None},
        )
        roles = adapted_paths(modules)
        stream.emit(
            "parameters",
            model=self.ident,
            path=self.paths,
            shape=[list(p.shape) for p in self.parameters],
            dtype=[_dtype(p) for p in self.parameters],
            role=[role_of(path, roles) for path in self.paths],
            requires_grad=[p.requires_grad for p in self.parameters],
            ties=self.ties,
            fingerprint=list(self.values.columns["fingerprint"]),
            rms=list(self.values.columns["rms"]),
            **self._parts(),
        )
        stream.emit(
            "buffers",
            model=self.ident,
            path=self.buffer_paths,
            shape=[list(b.shape) for b in self.buffers],
            dtype=[_dtype(b) for b in self.buffers],
            persistent=[_is_persistent(self.root, path) for path in self.buffer_paths],
            fingerprint=self.buffer_fingerprints(),
        )

    def _parts(self) -> dict[str, Any]:
        """What says of columns that they are those of parts."""
        return {**self.shard, "sizes": self.values.sizes} if isinstance(self.values, ShardValues) else {}

    def became(self) -> dict[str, Any]:
        """What is told of the parameters and buffers in the end."""
        columns = self.values.observe()
        bad = [index for index, peak in enumerate(columns["peak"]) if not math.isfinite(peak)]
        return {
            "fingerprint": columns["fingerprint"],
            "changed_since_last_step": columns["changed"],
            **self.shard,
            **({"not_finite": bad} if bad else {}),
            "buffers": self.buffer_fingerprints(),
            "requires_grad": [p.requires_grad for p in self.parameters],
        }

    def buffer_fingerprints(self) -> list[str]:
        return [as_hex(value) for value in Fingerprints(self.buffers)()]


def _values_of(parameters: list[torch.Tensor], large: bool, copied: int | None) -> AnyValues:
    """The values of parameters, read where they are."""
    if any(map(is_apart, parameters)):
        return ShardValues(parameters, copied)
    if large and not any(map(elsewhere, parameters)):
        return HashedValues(parameters)
    return DeviceValues(parameters) if any(elsewhere(one) for one in parameters) else Values(parameters)


def begin_of(root: nn.Module) -> int:
    """The object that is a model's first parameter."""
    return id(next(root.parameters(), None))


def _places(parameters: list[Any]) -> dict[int, list[int]]:
    """The places of the parameters that are behind what an optimizer holds: of a flat tensor, several."""
    places: dict[int, list[int]] = {}
    for place, parameter in enumerate(parameters):
        places.setdefault(id(held_in_place(parameter)), []).append(place)
    return places


def _is_persistent(root: nn.Module, path: str) -> bool:
    """Whether a state dict has a buffer; asked of its module, for a state dict may be a matter of all processes."""
    owner, _, name = path.rpartition(".")
    return name not in root.get_submodule(owner)._non_persistent_buffers_set


def elsewhere(tensor: torch.Tensor) -> bool:
    """Whether a tensor's values are on a device that has to be waited for."""
    return tensor.device.type not in ("cpu", "meta")


def _only(
    named: Iterable[tuple[str, torch.Tensor]], readable: Callable[[torch.Tensor], bool] | None
) -> Iterable[tuple[str, torch.Tensor]]:
    return named if readable is None else [(name, tensor) for name, tensor in named if readable(tensor)]


def _unique(
    named: Iterable[tuple[str, torch.Tensor]],
) -> tuple[list[str], list[torch.Tensor], dict[str, list[str]]]:
    """First path and tensor of each distinct object, and for shared ones every further path."""
    paths: list[str] = []
    tensors: list[torch.Tensor] = []
    seen: dict[int, str] = {}
    ties: dict[str, list[str]] = {}
    for path, tensor in named:
        if id(tensor) in seen:
            ties.setdefault(seen[id(tensor)], []).append(path)
        else:
            seen[id(tensor)] = path
            paths.append(path)
            tensors.append(tensor)
    return paths, tensors, ties


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).split(".")[-1]
