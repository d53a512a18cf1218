"""A pretended accelerator: tensors that say they are on a device `pretend` and compute on the CPU, bit for bit.

As on a GPU, an operation that is given tensors of both raises, numpy takes none of them, and what is made without a
device is made on the CPU. A process can pretend once, for as long as it lives.

    python tests/devices/pretended.py JOB.json    # {"device": "pretend", "argument": {...} of make_run}
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "pretend"
BETWEEN = ("_to_copy", "copy_", "index", "set_data")  # operations that take tensors of both
_TENSOR, _GETITEM = torch.tensor, torch.Tensor.__getitem__
counted: dict[str, int] = {}


class On(torch.Tensor):
    """A tensor that is on the device; what it holds is on the CPU."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> On:
        shape: dict[str, Any] = {"strides": held.stride(), "storage_offset": held.storage_offset()}
        made = torch.Tensor._make_wrapper_subclass(cls, held.size(), dtype=held.dtype, device=f"{NAME}:0", **shape)
        made.held = held
        return made

    def __init__(self, held: torch.Tensor) -> None:
        pass

    def data_ptr(self) -> int:
        return self.held.data_ptr()

    def storage(self) -> Any:
        return self.held.storage()

    def untyped_storage(self) -> Any:
        return self.held.untyped_storage()

    def numpy(self, **_: Any) -> Any:
        raise TypeError(f"can't convert {NAME}:0 device type tensor to numpy")

    def tolist(self) -> Any:
        return self.held.tolist()

    def __repr__(self, **_: Any) -> str:
        return f"{self.held!r} on {NAME}"

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: Any = (), named: Any = None) -> Any:
        return _computed(operation, args, named or {})


class Pretended(TorchDispatchMode):
    """Inside, tensors can be made on the device by its name."""

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), named: Any = None) -> Any:
        return _computed(operation, args, named or {})


def _computed(operation: Any, args: Sequence[Any], named: Mapping[str, Any]) -> Any:
    name = operation.overloadpacket.__name__
    given = [one for one in tree_leaves((args, named)) if isinstance(one, torch.Tensor)]
    on = [one for one in given if isinstance(one, On)]
    apart = [one for one in given if not isinstance(one, On) and one.dim()]
    if on and apart and not name.startswith(BETWEEN):
        raise RuntimeError(f"{operation}: expected all tensors to be on the same device, found {NAME} and cpu")
    asked = named.get("device")
    there = torch.device(asked).type == NAME if asked is not None else bool(on)
    if name.startswith("copy_"):
        there = isinstance(args[0], On)
    options = {**named, "device": torch.device("cpu")} if asked is not None and there else named
    found = operation(*tree_map(_held, args), **tree_map(_held, options))
    if not there:
        return found
    counted[name] = counted.get(name, 0) + 1
    same = {id(one.held): one for one in on}  # what an operation in place gives back
    return tree_map(
        lambda one: (same[id(one)] if id(one) in same else On(one)) if isinstance(one, torch.Tensor) else one, found
    )


def _held(value: Any) -> Any:
    return value.held if isinstance(value, On) else value


def _from_numbers(*given: Any, device: Any = None, **named: Any) -> torch.Tensor:
    """torch.tensor, which asks no mode."""
    made: torch.Tensor = _TENSOR(*given, **named)
    return made if device is None else made.to(device)


def _at(tensor: torch.Tensor, places: Any) -> torch.Tensor:
    """Indexing, which makes a tensor of a list without asking any mode."""
    return _GETITEM(tensor, _TENSOR(places) if isinstance(tensor, On) and isinstance(places, list) else places)


@contextlib.contextmanager
def pretended() -> Iterator[None]:
    """Inside, a model that is placed is on the pretended device, and so is what is then made for it."""
    from harness import devices
    from harness.engines import torch_loop

    before, held, mode = devices.device_of, devices.placed, Pretended()
    entered: list[Any] = []

    def placed(model: Any, recipe: Any) -> Any:
        _setup_privateuseone_for_python_backend(NAME)  # nothing before: libraries would load the model otherwise
        torch.tensor, torch.Tensor.__getitem__ = _from_numbers, _at
        entered.append(mode.__enter__())
        return held(model, recipe)

    devices.device_of = torch_loop.device_of = lambda _: torch.device(NAME, 0)
    devices.placed = placed
    try:
        yield
    finally:
        devices.device_of = torch_loop.device_of = before
        devices.placed, torch.tensor, torch.Tensor.__getitem__ = held, _TENSOR, _GETITEM
        for _ in entered:
            mode.__exit__(None, None, None)


def main(file: str) -> None:
    """Make the run of a job file on its device."""
    from harness.making import run as making

    job = json.loads(Path(file).read_text(encoding="utf-8"))
    with pretended() if job["device"] == NAME else contextlib.nullcontext():
        making.make_run(job["argument"])
    print(json.dumps(counted))


if __name__ == "__main__":
    main(sys.argv[1])
