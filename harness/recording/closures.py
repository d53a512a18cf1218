"""Optimizers that are given forward and backward as a closure: LBFGS, and whoever steps through Lightning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Given = tuple[tuple[Any, ...], dict[str, Any]]


def with_closure(args: tuple[Any, ...], kwargs: Mapping[str, Any], begins: Callable[[], None]) -> Given | None:
    """What `optimizer.step` is to be called with so that `begins` is told of the step when its gradients are there.

    That is after the closure has run for the first time: LBFGS runs it many times within one step. None where there is
    no closure. `args` begin with the optimizer.
    """
    closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
    if not callable(closure):
        return None
    told = False

    def evaluated() -> Any:
        nonlocal told
        loss = closure()
        if not told:
            told = True
            begins()
        return loss

    if "closure" in kwargs:
        return args, {**kwargs, "closure": evaluated}
    return (args[0], evaluated, *args[2:]), dict(kwargs)
