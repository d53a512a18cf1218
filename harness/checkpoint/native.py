"""State dicts as torch writes them: the native format of trainers that use no safetensors."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.checkpoint.roles import ADAPTER_WEIGHTS, BESIDE_ADAPTER, PICKLED, PROJECTOR_WEIGHTS, WEIGHTS, roles
from harness.refusal import Refused

if TYPE_CHECKING:
    import torch

NESTED = "model"
_DO = "save the state dict alone, with torch.save(model.state_dict(), FILE)"
_DTYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "complex64": "C64",
    "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2", "float8_e8m0fnu": "F8_E8M0",
    "float8_e4m3fnuz": "F8_E4M3FNUZ", "float8_e5m2fnuz": "F8_E5M2FNUZ",
    "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8",
    "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip


def native_files(directory: Path) -> list[Path]:
    """The files of a directory that hold a model's or an adapter's weights in torch's own format, in order."""
    played = roles(directory)
    names = {*played.get(WEIGHTS, ()), *played.get(ADAPTER_WEIGHTS, ())}
    return [directory / name for name in sorted(names) if name.endswith(PICKLED)]


def beside_files(directory: Path) -> list[Path]:
    """The files that hold what other weights are laid under: of a connector, of what trained beside an adapter."""
    played = roles(directory)
    return [directory / name for role in (PROJECTOR_WEIGHTS, BESIDE_ADAPTER) for name in played.get(role, ())]


def native_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file that holds a state dict, or one under "model"; read without running code in it.

    Raises Refused for a file that holds anything else. The tensors lie in the file until they are used.
    """
    content = _loaded(path)
    if isinstance(content, dict) and set(content) == {NESTED} and isinstance(content[NESTED], dict):
        content = content[NESTED]
    if not isinstance(content, dict) or not content:
        raise Refused(f"holds no state dict: {_kind(content)}", where=str(path), do=_DO)
    for key, value in content.items():
        if wrong := _wrong(key, value):
            raise Refused(f"holds no state dict: {wrong}", where=str(path), do=_DO)
    return dict(content)


def dtype_name(tensor: torch.Tensor) -> str:
    """The dtype as safetensors spells it."""
    return _DTYPES[str(tensor.dtype).removeprefix("torch.")]


def _loaded(path: Path) -> Any:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, that it may not read what it then reads or refuses
            # An archive can be mapped into memory; what torch wrote before it had those cannot.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except OSError as error:
        raise Refused(f"cannot be read: {error.strerror or error}", where=str(path), do="check the path") from None
    except Exception as error:  # of a dozen classes, by what the bytes happen to say
        what = "is damaged, or holds more than tensors and is not loaded"
        raise Refused(f"{what} ({_first_line(error)})", where=str(path), do=_DO) from None


def _wrong(key: Any, value: Any) -> str:
    """What keeps an entry from being a tensor under a name."""
    import torch

    if not isinstance(key, str):
        return f"a key is {key!r}"
    if not isinstance(value, torch.Tensor):
        return f"{key} is {_kind(value)}"
    if value.layout is not torch.strided or str(value.dtype).removeprefix("torch.") not in _DTYPES:
        return f"{key} is a tensor of {value.dtype}, {value.layout}"
    return ""


def _kind(value: Any) -> str:
    return "an empty dict" if value == {} else f"a {type(value).__name__}"


def _first_line(error: Exception) -> str:
    """What torch says first; its advice, which is to load the file all the same, is not passed on."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    named = [line for line in lines if "GLOBAL" in line]
    sentence, _, _ = (named or lines)[0].partition(". ")
    return f"{type(error).__name__}: {sentence}"[:160].rstrip(": ")
