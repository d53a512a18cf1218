"""An adapter by its files: which modules of a base it is for, and which shapes it expects of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.checkpoint.json_files import ADAPTER_CONFIG
from harness.checkpoint.native import native_tensors
from harness.refusal import Refused
from harness.trace.arrays import read_header, tensors_of
from harness.trace.json_text import parsed

Shape = tuple[int, ...]

_FILES = ("adapter_model.safetensors", "adapter_model.bin")
PREFIX = "base_model.model."
"""What peft puts before the path of every module."""
_MARKS = {"ADALORA": "lora_", "LOHA": "hada_"}  # other methods mark what is theirs with their own name
_WRAPPERS = ("base_layer", "token_adapter", "modules_to_save", "original_module")
_EVERY_LINEAR = "all-linear"  # peft's own word, where it was saved before it met a model
_AGAIN = "save the adapter again"


@dataclass(frozen=True)
class AdapterTensor:
    """A tensor of an adapter: the module it is for, and what it is there; the whole key of the base for a saved one."""

    module: str
    part: str
    shape: Shape
    saved: bool


@dataclass(frozen=True)
class Adapter:
    """What an adapter says about itself."""

    targets: tuple[str, ...]
    regex: bool
    modules_to_save: tuple[str, ...]
    tensors: tuple[AdapterTensor, ...]
    base_class: str
    base_name: str
    fan_in_fan_out: bool

    @property
    def modules(self) -> list[str]:
        """Every module that it has tensors for."""
        return sorted({tensor.module for tensor in self.tensors})

    def meets(self, target: str, path: str) -> bool:
        """Whether a target means a module, by peft's rule: a regular expression the whole path, a name its end."""
        return bool(re.fullmatch(target, path)) if self.regex else path == target or path.endswith(f".{target}")


def read_adapter(directory: Path) -> Adapter:
    """The adapter in a directory. Raises Refused, in one line, for one that is damaged or not whole."""
    config = _config(directory / ADAPTER_CONFIG)
    targets, save = config.get("target_modules"), config.get("modules_to_save")
    if targets == _EVERY_LINEAR:
        targets = None
    regex = targets if isinstance(targets, str) else None
    if regex is not None:
        _compiles(regex, directory / ADAPTER_CONFIG)
    mark = _mark(config.get("peft_type"))
    auto = config.get("auto_mapping")
    return Adapter(
        targets=_names(targets) if regex is None else (regex,),
        regex=regex is not None,
        modules_to_save=_names(save),
        tensors=tuple(_tensor(key, shape, mark) for key, shape in _shapes(directory) if key.startswith(PREFIX)),
        base_class=_text(auto.get("base_model_class")) if isinstance(auto, dict) else "",
        base_name=Path(_text(config.get("base_model_name_or_path"))).name,
        fan_in_fan_out=config.get("fan_in_fan_out") is True,
    )


def _config(path: Path) -> dict[str, Any]:
    try:
        value = parsed(path.read_bytes())
    except FileNotFoundError:
        raise Refused("there is no such file", where=str(path), do=_AGAIN) from None
    except OSError as error:
        raise Refused(f"cannot be read: {error.strerror}", where=str(path), do="check the path") from None
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Refused("is damaged: it is no JSON object", where=str(path), do=_AGAIN)
    return value


def _compiles(pattern: str, path: Path) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        what = f"target_modules {pattern!r} is no regular expression: {error}"
        raise Refused(what, where=str(path), do=_AGAIN) from None


def _shapes(directory: Path) -> list[tuple[str, Shape]]:
    path = next((directory / name for name in _FILES if (directory / name).is_file()), None)
    if path is None:
        raise Refused(f"holds no adapter weights ({' or '.join(_FILES)})", where=str(directory), do=_AGAIN)
    if path.suffix == ".safetensors":
        return [(key, tuple(entry["shape"])) for key, entry in tensors_of(read_header(path)).items()]
    return [(key, tuple(tensor.shape)) for key, tensor in native_tensors(path).items()]


def _mark(peft_type: Any) -> str:
    kind = _text(peft_type) or "LORA"
    return _MARKS.get(kind, f"{kind.lower()}_")


def _tensor(key: str, shape: Shape, mark: str) -> AdapterTensor:
    """A key taken apart: `base_model.model.<module>.lora_A.weight`, or a key of the base where a module was saved."""
    path = key.removeprefix(PREFIX)
    parts = path.split(".")
    for place, part in enumerate(parts):
        if part.startswith(mark) or part in _WRAPPERS:
            return AdapterTensor(".".join(parts[:place]), part, shape, saved=False)
    return AdapterTensor(".".join(parts[:-1]), path, shape, saved=True)


def _names(value: Any) -> tuple[str, ...]:
    return tuple(sorted(str(name) for name in value)) if isinstance(value, list) else ()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
