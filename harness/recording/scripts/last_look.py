"""What is looked at when a script's training is over: each model on a batch that it was trained with, twice.

Passes are made after the last step and the last save, by a process that trains alone. Nothing is left of them, and
nothing that a model prints on the way comes out.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from harness.recording.scripts.drops import Drops
from harness.recording.scripts.readable import unreadable
from harness.recording.undisturbed import Chance, undisturbed
from harness.trace.fingerprint import bits
from harness.trace.nested import first_output, mapped, tensors_in

if TYPE_CHECKING:
    from harness.recording.scripts.recorder import ScriptRecorder

Given = tuple[list[Any], dict[str, Any]]
ELEMENTS = 1 << 24  # of a batch, all tensors together, that are kept
STATE = 1 << 26  # elements that require no gradient, which are held a second time while a model is tried
PLAIN = (bool, int, float, str, type(None))


class LastLook:
    """The first batch of each model, and what the model makes of it in the end."""

    def __init__(self, recorder: ScriptRecorder) -> None:
        self._recorder = recorder
        self.batches: dict[str, Given | None] = {}
        self.outputs: dict[str, torch.Tensor] = {}

    def given(self, ident: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """What a model's forward is called with in training: the first is kept, where it is plain enough."""
        if ident not in self.batches:
            self.batches[ident] = (mapped(list(args), _copy), mapped(kwargs, _copy)) if _kept(args, kwargs) else None

    def take(self) -> None:
        """Evaluate each model, and say what came of it."""
        for model in [] if _several_processes() else self._recorder.models:
            given = self.batches.get(model.ident)
            if given is None or not _whole(model.root):
                continue
            with self._recorder.paused():
                try:
                    facts, output = evaluated(model.root, given)
                except Exception as error:  # a model that cannot be called so: nothing is wrong with its training
                    facts, output = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}, None
            if output is not None:
                self.outputs[model.ident] = output
            self._recorder.stream.emit("evaluated", model=model.ident, **facts)


def evaluated(root: nn.Module, given: Given) -> tuple[dict[str, Any], torch.Tensor | None]:
    """Whether two passes in eval mode agree that begin with the same state. Where they do not: how far a third is from
    the first that is given the same random numbers, and which modules leave something out at random. The output is the
    first pass's, if they agree.
    """
    module = getattr(root, "_orig_mod", root)
    state = _state(module)
    with undisturbed(module), _unheard(), _not_compiled():
        chance = Chance()
        first, again = _from(state, module, given), _from(state, module, given)
        values = _floats(first)
        if not values:
            return {"outputs": 0}, None
        if _equal(values, _floats(again)):
            return {"outputs": len(values), "equal": True}, first_output(first)
        chance.put_back()
        with Drops(module) as drops:
            third = _floats(_from(state, module, given))
    return {"outputs": len(values), "equal": False, "apart": _apart(values, third), "drops": drops.seen}, None


def _state(module: nn.Module) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """What a pass may write into, and its values: a queue in buffers, a momentum encoder that requires no gradient."""
    frozen = [parameter for parameter in module.parameters() if not parameter.requires_grad]
    small = sum(map(torch.Tensor.numel, frozen)) <= STATE
    return [(tensor, tensor.detach().clone()) for tensor in (*module.buffers(), *(frozen if small else ()))]


def _carried(module: nn.Module) -> list[tuple[nn.Module, str, Any]]:
    """Tensors that modules have as plain attributes, which a pass may put others in the place of: a recurrent state."""
    return [
        (part, name, value)
        for part in module.modules()
        for name, value in vars(part).items()
        if isinstance(value, (torch.Tensor, list, tuple)) and next(tensors_in(value), None) is not None
    ]


def _from(state: list[tuple[torch.Tensor, torch.Tensor]], module: nn.Module, given: Given) -> Any:
    """A pass, after which the state is as it was."""
    args, kwargs = given
    carried = _carried(module)
    try:
        return module(*mapped(args, _copy), **mapped(kwargs, _copy))
    finally:
        for tensor, before in state:
            tensor.copy_(before)
        for part, name, value in carried:
            vars(part)[name] = value


def _floats(output: Any) -> list[torch.Tensor]:
    return [tensor.detach() for tensor in tensors_in(output) if tensor.is_floating_point() and tensor.numel()]


def _equal(some: list[torch.Tensor], others: list[torch.Tensor]) -> bool:
    return len(some) == len(others) and all(
        one.shape == other.shape and torch.equal(bits(one), bits(other)) for one, other in zip(some, others)
    )


def _apart(some: list[torch.Tensor], others: list[torch.Tensor]) -> float:
    """The largest difference relative to the largest value; infinite where shapes or numbers differ in kind."""
    if _equal(some, others):
        return 0.0
    if [one.shape for one in some] != [other.shape for other in others]:
        return float("inf")
    wide = [(one.double(), other.double()) for one, other in zip(some, others)]
    found = [float((one - other).abs().max() / one.abs().max().clamp(min=1e-30)) for one, other in wide]
    return float("inf") if any(map(math.isnan, found)) else max(found)


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().clone()


def _kept(args: Any, kwargs: Any) -> bool:
    """Whether arguments are tensors, plain values and containers of them, and few enough."""
    tensors = list(tensors_in([list(args), dict(kwargs)]))
    strange = any(unreadable(one) or one.is_complex() for one in tensors)
    return not strange and sum(map(torch.Tensor.numel, tensors)) <= ELEMENTS and _plain([list(args), dict(kwargs)])


def _plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _plain(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_plain, value))
    return isinstance(value, (torch.Tensor, *PLAIN))


def _whole(root: nn.Module) -> bool:
    """Whether a model is all here: not in pieces that processes have to bring together."""
    return not any(unreadable(p) or hasattr(p, "ds_tensor") for p in root.parameters())


def _several_processes() -> bool:
    group: Any = torch.distributed
    return bool(group.is_available() and group.is_initialized() and group.get_world_size() > 1)


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def _not_compiled() -> contextlib.AbstractContextManager[Any]:
    """What is compiled inside a model runs as it was written: compiling it for evaluation would take long."""
    stance: Any = getattr(torch.compiler, "set_stance", None) if hasattr(torch, "compiler") else None
    return contextlib.nullcontext() if stance is None else stance("force_eager")
