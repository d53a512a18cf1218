"""A model that met its optimizer: its parts by name, kept by object identity from then on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from harness.recording.device_values import DeviceValues
from harness.recording.hashed import HashedValues
from harness.recording.local_parts import LocalPart, is_distributed, local
from harness.recording.shards import ShardValues
from harness.recording.values import Values
from harness.trace.fingerprint import as_hex
from harness.trace.fingerprints import Fingerprints
from harness.trace.writer import StreamWriter

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
        self.root = root
        named, buffers = root.named_parameters(remove_duplicate=False), root.named_buffers(remove_duplicate=False)
        self.paths, self.parameters, self.ties = _unique(_only(named, readable))
        self.buffer_paths, self.buffers, _ = _unique(_only(buffers, readable))
        self._kinds = self._kinds_now()
        self.index = {id(parameter): i for i, parameter in enumerate(self.parameters)}
        size = sum(p.numel() for p in self.parameters)
        large = copied is not None and size > copied  # too large to be held twice
        self.values: Values | ShardValues | DeviceValues | HashedValues = _values_of(self.parameters, large)
        self.apart = any(map(is_distributed, self.parameters))
        self.dense = size <= DENSE_ELEMENTS and not self.apart
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
    def here(self) -> list[Any]:
        """Each parameter as its gradient can be read in this process."""
        return [LocalPart(one) if is_distributed(one) else one for one in self.parameters]

    @property
    def shard(self) -> dict[str, Any]:
        """What a record of values says where they are those of a part of each parameter, or where what has changed of
        them is told from a part."""
        if isinstance(self.values, DeviceValues):
            return {"sampled": True} if self.values.sampled else {}
        return {"shard": True} if isinstance(self.values, ShardValues) else {}

    @property
    def held(self) -> int:
        """How many bytes are kept of the parameters, at the most."""
        copies = (self.first is not None) + (not isinstance(self.values, HashedValues))
        return copies * sum(local(p).numel() * p.element_size() for p in self.parameters if not is_lazy(p))

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
            type=kind_of(self.root),
            modules={
                "path": [path for path, _ in modules],
                "type": [kind_of(module) for _, module in modules],
                "training": [module.training for _, module in modules],
            },
            attention=attention_of(modules),
            adapters={path: facts for path, module in modules if (facts := adapter_facts(module)) is not None},
        )
        roles = _roles(modules)
        stream.emit(
            "parameters",
            model=self.ident,
            path=self.paths,
            shape=[list(p.shape) for p in self.parameters],
            dtype=[_dtype(p) for p in self.parameters],
            role=[_role(path, roles) for path in self.paths],
            requires_grad=[p.requires_grad for p in self.parameters],
            ties=self.ties,
            fingerprint=list(self.values.columns["fingerprint"]),
            rms=list(self.values.columns["rms"]),
            **self._parts(),
        )
        persistent = set(self.root.state_dict(keep_vars=True)) if self.buffers else set()
        stream.emit(
            "buffers",
            model=self.ident,
            path=self.buffer_paths,
            shape=[list(b.shape) for b in self.buffers],
            dtype=[_dtype(b) for b in self.buffers],
            persistent=[path in persistent for path in self.buffer_paths],
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


def _values_of(parameters: list[torch.Tensor], large: bool) -> Values | ShardValues | DeviceValues | HashedValues:
    """The values of parameters, read where they are."""
    if any(map(is_distributed, parameters)):
        return ShardValues(parameters)
    if large and not any(map(elsewhere, parameters)):
        return HashedValues(parameters)
    return DeviceValues(parameters) if any(elsewhere(one) for one in parameters) else Values(parameters)


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


def inside_wrapper(root: nn.Module) -> nn.Module:
    """The model that a wrapper has been put around, one for several processes or Lightning's: its names are those of
    the model alone, and its forward is the one that is called."""
    while True:
        if isinstance(root, nn.parallel.DistributedDataParallel) or is_deepspeed_engine(root):
            root = root.module  # type: ignore[assignment]
        elif is_lightning_module(root) and (alone := _only_child(root)) is not None:
            root = alone
        else:
            return root


def _only_child(root: nn.Module) -> nn.Module | None:
    """The one part of a module that all its parameters are in."""
    holding = [child for child in root.children() if next(child.parameters(), None) is not None]
    own = next(root.parameters(recurse=False), None)
    return holding[0] if len(holding) == 1 and own is None else None


def is_lightning_module(module: nn.Module) -> bool:
    """Whether it is Lightning's, under either of its names, told without importing it."""
    return any(
        kind.__qualname__ == "LightningModule" for kind in type(module).__mro__ if "lightning" in kind.__module__
    )


def is_deepspeed_engine(module: nn.Module) -> bool:
    """Whether it is DeepSpeed's, told without importing it."""
    return any(kind.__module__ == "deepspeed.runtime.engine" for kind in type(module).__mro__)


def kind_of(module: Any) -> str:
    """The class of a module or optimizer with its package: by this a check recognises an adapter or a layer."""
    return f"{type(module).__module__}.{type(module).__qualname__}"


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).split(".")[-1]


def _roles(modules: list[tuple[str, nn.Module]]) -> set[str]:
    """The paths of modules that an adapter library put around a layer of the model, or beside the model."""
    prompts = {path for path, module in modules if kind_of(module).startswith("peft.peft_model.")}
    return {path for path, module in modules if is_adapted(module)} | {
        f"{path}.prompt_encoder".lstrip(".") for path in prompts
    }


def is_adapted(module: nn.Module) -> bool:
    """Whether the module is a layer of the model with an adapter around it (seen by its shape, not by asking peft)."""
    return (".tuners." in type(module).__module__ and hasattr(module, "base_layer")) or _factors(module) is not None


def _factors(module: nn.Module) -> Any:
    """The factors that a trainer's own LoRA has put into a linear layer whose forward it has replaced."""
    own = module._modules.get("lora") if isinstance(module, nn.Linear) else None
    return own if own is not None and {"A", "B"} <= set(own._modules) else None


def _role(path: str, adapted: set[str]) -> str:
    if ".modules_to_save." in path:
        return "copy"
    if ".original_module." in path:
        return "original"
    owners = [prefix for prefix in _prefixes(path) if prefix in adapted]
    inside = path[len(owners[-1]) + 1 :] if owners else ""
    if owners and not inside.startswith("base_layer.") and inside not in ("weight", "bias"):
        return "adapter"
    return "base"


def _prefixes(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def attention_of(modules: Iterable[tuple[str, nn.Module]]) -> dict[str, str]:
    """How each layer of attention that asks its configuration is computed, by path: what is in force, not what was
    asked for."""
    layers = (
        (path, getattr(module, "config", None)) for path, module in modules if "Attention" in type(module).__name__
    )
    found = ((path, getattr(config, "_attn_implementation", None)) for path, config in layers)
    return {path: str(implementation) for path, implementation in found if implementation}


def adapter_facts(module: nn.Module) -> dict[str, Any] | None:
    """Rank, alpha, scaling, dropout of each adapter on a layer, read from the layer; None where there is none."""
    if not is_adapted(module):
        return None
    if (factors := _factors(module)) is not None:
        return {"r": {"default": int(factors.A.weight.shape[0])}}
    facts: dict[str, Any] = {}
    for attribute in ("r", "lora_alpha", "scaling", "use_dora", "oft_block_size", "boft_block_size"):
        value = getattr(module, attribute, None)
        if isinstance(value, dict):
            facts[attribute] = {str(name): item for name, item in sorted(value.items())}
    dropouts = getattr(module, "lora_dropout", None)
    if isinstance(dropouts, nn.ModuleDict):
        facts["dropout"] = {name: float(getattr(layer, "p", 0.0)) for name, layer in sorted(dropouts.items())}
    return facts
