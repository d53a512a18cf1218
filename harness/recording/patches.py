"""Thin wrappers on torch's public operations, put on while recording and taken off afterwards.

Each wrapper calls the original with the arguments it got and returns what it returned. torch has hooks for optimizer
steps but none for clipping, scaling, zeroing or schedules.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import torch

Wrapper = Callable[..., Any]


class Patches:
    """Wrappers that can be taken off again, in reverse order. Each goes through `around`, where one is given."""

    def __init__(self, around: Callable[[Wrapper, str], Wrapper] | None = None) -> None:
        self._undo: list[tuple[Any, str, Any]] = []
        self.around = around

    def wrap(self, owner: Any, name: str, wrapper: Wrapper) -> None:
        """Replace `owner.name`; the wrapper is called with the original first, then the arguments."""
        original = getattr(owner, name, None)
        if original is None:
            return
        if self.around is not None:
            wrapper = self.around(wrapper, name)

        @functools.wraps(original)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            return wrapper(original, *args, **kwargs)

        own = vars(owner).get(name, _ABSENT)
        self._undo.append((owner, name, own))
        setattr(owner, name, wrapped)

    def put(self, owner: Any, name: str, value: Any) -> None:
        """Put something of one's own in a place, until it is undone."""
        self._undo.append((owner, name, vars(owner).get(name, _ABSENT)))
        setattr(owner, name, value)

    def undo(self) -> None:
        while self._undo:
            owner, name, original = self._undo.pop()
            if original is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, original)


_ABSENT = object()


def grad_scaler_classes() -> list[Any]:
    """The gradient scaler classes of this torch, base class first; subclasses inherit the wrapped methods."""
    current = getattr(torch.amp, "GradScaler", None)
    return [current] if current is not None else [torch.cuda.amp.GradScaler]


def scheduler_classes() -> list[Any]:
    """The classes that define `step` for learning-rate schedules."""
    module = torch.optim.lr_scheduler
    names = ("LRScheduler", "ReduceLROnPlateau")
    return [getattr(module, name) for name in names if hasattr(module, name)]


def compiling() -> bool:
    """Whether what runs is being compiled rather than run: there the recorder has no business. torch 2.0 cannot say."""
    told = getattr(getattr(torch, "compiler", None), "is_compiling", None)
    return bool(told()) if told is not None else False


def loaded(module: str, name: str) -> Any:
    """A class of a library that the process has already imported, or None: recording imports nothing itself."""
    return getattr(sys.modules.get(module), name, None)
