"""Nested values: what a model is given may be tensors in dicts and lists; files hold tensors under flat names.

torch and the standard library only; Python 3.9 and later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from harness.trace.fingerprint import as_hex, fingerprint

TENSOR = "$tensor"


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """Every tensor of a nested value, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors_in(item)


def first_output(output: Any) -> torch.Tensor | None:
    """What a model's output is known by: its logits, or else the first of its tensors with numbers that are no loss."""
    named = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    if isinstance(named, torch.Tensor):
        return named
    found = [one for one in tensors_in(output) if one.is_floating_point()]
    return next((one for one in found if one.dim()), found[0] if found else None)


def mapped(value: Any, change: Callable[[torch.Tensor], Any]) -> Any:
    """The value with every tensor in it changed, its dicts and lists made anew."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return {name: mapped(item, change) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [mapped(item, change) for item in value]
    return value


def taken_apart(value: Any, name: str, tensors: dict[str, torch.Tensor]) -> Any:
    """The value as plain JSON, its tensors put into `tensors` under names that begin with `name`."""
    if isinstance(value, torch.Tensor):
        tensors[name] = value
        return {TENSOR: name}
    if isinstance(value, Mapping):
        return {key: taken_apart(item, f"{name}/{key}", tensors) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [taken_apart(item, f"{name}/{place}", tensors) for place, item in enumerate(value)]
    return value


def put_together(plain: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    """The value that was taken apart."""
    if isinstance(plain, dict):
        if TENSOR in plain:
            return tensors[plain[TENSOR]]
        return {key: put_together(item, tensors) for key, item in plain.items()}
    if isinstance(plain, list):
        return [put_together(item, tensors) for item in plain]
    return plain


def digest_of(value: Any) -> str:
    """One number over the tensors of a nested value, their shapes and their order; a lone tensor's fingerprint."""
    if isinstance(value, torch.Tensor):
        return as_hex(fingerprint(value))
    facts = [f"{list(one.shape)} {as_hex(fingerprint(one))}" for one in tensors_in(value)]
    return hashlib.blake2b("\n".join(facts).encode(), digest_size=8).hexdigest()
