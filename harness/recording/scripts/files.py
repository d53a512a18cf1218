"""Files of weights that a script writes, and weights that it loads: whether the ones hold what was trained, and the
others arrived.

A state dict is known by its keys: those of a model, with or without what wrappers put before them.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from harness.recording.scripts.state_dicts import places, state_dicts
from harness.recording.scripts.watcher import Watcher
from harness.trace.fingerprint import as_hex, fingerprint

if TYPE_CHECKING:
    from harness.recording.found import FoundModel
    from harness.recording.scripts.recorder import ScriptRecorder

FEWEST = 0.5  # of a state dict's tensors, that are parameters of the model it is taken to be of; others are buffers
LISTS = ("missing", "unexpected", "mismatched")


class FileWatch(Watcher):
    """Wrappers on torch.save, safetensors and from_pretrained."""

    def __init__(self, recorder: ScriptRecorder) -> None:
        super().__init__(recorder)
        self._patches.wrap(torch, "save", self._torch_save)
        self.after("safetensors.torch", self._safetensors_there)
        self.after("transformers.modeling_utils", self._transformers_there)

    def _safetensors_there(self) -> None:
        with self.recorder.guard("saves"):
            module = sys.modules["safetensors.torch"]
            for name in ("save_file", "save_model"):
                before = getattr(module, name)
                self._patches.wrap(module, name, self._safetensors)
                for other, place in _takers(before):
                    self._patches.put(other, place, getattr(module, name))

    def _transformers_there(self) -> None:
        with self.recorder.guard("loads"):
            kind = sys.modules["transformers.modeling_utils"].PreTrainedModel
            _wrap_class_method(self._patches, kind, self._from_pretrained)

    def _torch_save(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        value, target = (*args, kwargs.get("obj"), None)[0], kwargs.get("f", args[1] if len(args) > 1 else None)
        for state in state_dicts(value):
            self._written(state, target)
        return result

    def _safetensors(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        given = [*args, *(kwargs[name] for name in ("model", "tensors", "filename") if name in kwargs)]
        for state in state_dicts(given[0]):
            self._written(state, given[1])
        return result

    def _written(self, state: Mapping[str, Any], target: Any) -> None:
        """Compare what was written with what a model holds and with what it began as."""
        tensors = sum(isinstance(value, torch.Tensor) for value in state.values())
        matches = [(dict(places(model, state)), model) for model in self.recorder.models]
        found, model = max(matches, key=lambda one: len(one[0]), default=({}, None))
        if model is None or len(found) < FEWEST * tensors:
            return
        facts = {"model": model.ident, "file": _name(target), "held": sorted(found), **self._as_begun(model, found)}
        self.recorder.event("weights_saved", **facts, steps=self.recorder.made)
        self.recorder.saves.written(model, target, found)
        self.recorder.stream.flush()

    def _as_begun(self, model: FoundModel, found: Mapping[int, torch.Tensor]) -> dict[str, Any]:
        """Which parameters were written as they began, and are others by now. Where a process has but a part of each,
        what was written is told, and whoever reads the trace compares it with the whole."""
        first, now, began = model.first, model.last_values(), self.recorder.first_prints[model.ident]
        if first is None and model.shard.get("shard"):
            return {"as_begun": [], "prints": [as_hex(fingerprint(found[index])) for index in sorted(found)]}
        as_begun = [
            index
            for index, tensor in found.items()
            if model.parameters[index].requires_grad
            and _same(tensor, first[index] if first else None, began[index])
            and not _same(now[index], first[index] if first else None, began[index])
        ]
        return {"as_begun": as_begun}

    def _from_pretrained(self, original: Any, kind: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("output_loading_info"):
            return original(*args, **kwargs)
        model, info = original(*args, **{**kwargs, "output_loading_info": True})
        with self.recorder.guard("loads"):
            lists = {name: [str(key) for key in info.get(f"{name}_keys") or ()] for name in LISTS}
            facts = {name: len(keys) for name, keys in lists.items()}
            self.recorder.event(
                "pretrained", type=kind.__name__, keys=len(model.state_dict()), **facts, such_as=lists["missing"][:5]
            )
        return model


def _wrap_class_method(patches: Any, owner: Any, wrapper: Any) -> None:
    """from_pretrained is a class method, and has to stay one."""
    inner = vars(owner).get("from_pretrained")
    if not isinstance(inner, classmethod):
        return
    function = inner.__func__

    def from_pretrained(cls: Any, *args: Any, **kwargs: Any) -> Any:
        def told(original: Any, *given: Any, **named: Any) -> Any:
            return wrapper(original, cls, *given, **named)

        return patches.around(told, "from_pretrained")(functools.partial(function, cls), *args, **kwargs)

    from_pretrained.__doc__ = function.__doc__
    patches.put(owner, "from_pretrained", classmethod(from_pretrained))


def _takers(before: Any) -> list[tuple[Any, str]]:
    """Modules that have taken a function by name, and the names."""
    return [
        (module, name)
        for module in list(sys.modules.values())
        for name in ("save_file", "safe_save_file", "save_model")
        if getattr(module, "__dict__", {}).get(name) is before
    ]


def _same(tensor: torch.Tensor, values: torch.Tensor | None, begun: str) -> bool:
    if values is not None:
        return tensor.dtype == values.dtype and torch.equal(tensor.detach(), values.to(tensor.device))
    return as_hex(fingerprint(tensor)) == begun


def _name(target: Any) -> str:
    try:
        return Path(os.fspath(target)).name
    except TypeError:
        return str(getattr(target, "name", type(target).__name__)).rpartition("/")[2]
