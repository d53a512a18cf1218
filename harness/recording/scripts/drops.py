"""Where a forward pass leaves something out at random."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from torch import nn

DROPOUTS = {
    "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "feature_dropout",
}  # fmt: skip
ATTENTION = "scaled_dot_product_attention"
CHANCE = {"rand", "rand_like", "bernoulli", "bernoulli_", "uniform_"}


class Drops(TorchFunctionMode):
    """Inside, `seen` gets the path of each module in which dropout is in force, by torch's own functions or, in modules
    that say by their name that they drop something, by random numbers. A model that draws samples drops nothing."""

    def __init__(self, root: nn.Module) -> None:
        super().__init__()
        self.seen: list[str] = []
        self._paths = {module: path for path, module in root.named_modules()}
        self._inside: list[nn.Module] = []
        self._hooks = contextlib.ExitStack()

    def __enter__(self) -> Drops:
        for module in self._paths:
            for handle in (module.register_forward_pre_hook(self._enters), module.register_forward_hook(self._leaves)):
                self._hooks.callback(handle.remove)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *of: Any) -> None:
        super().__exit__(*of)  # type: ignore[no-untyped-call]
        self._hooks.close()

    def _enters(self, module: nn.Module, *_: Any) -> None:
        self._inside.append(module)

    def _leaves(self, *_: Any) -> None:
        self._inside.pop()

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if self._inside and self._is_drop(getattr(func, "__name__", ""), args, kwargs or {}):
            path = self._paths[self._inside[-1]]
            if path not in self.seen:
                self.seen.append(path)
        return func(*args, **(kwargs or {}))

    def _is_drop(self, name: str, args: Sequence[Any], given: Mapping[str, Any]) -> bool:
        if name in DROPOUTS:
            return bool(given.get("training", True)) and float(given.get("p", 0.5)) > 0
        if name == ATTENTION:
            return float(given.get("dropout_p", args[4] if len(args) > 4 else 0.0)) > 0
        return name in CHANCE and "drop" in type(self._inside[-1]).__name__.lower()
