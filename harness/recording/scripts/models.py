"""The models and optimizers of a script that knows nothing of its recorder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from harness.recording.found import FoundModel
from harness.recording.patches import Patches
from harness.recording.recorder import Recorder
from harness.recording.scripts.freshness import Freshness
from harness.recording.scripts.frozen import FrozenWatch
from harness.recording.scripts.guard import Guard, LostSight
from harness.recording.scripts.loose import Tensors
from harness.recording.scripts.options import Options
from harness.recording.scripts.pace import Pace
from harness.recording.scripts.readable import unfollowed, unreadable, unreadable_in
from harness.recording.scripts.resting import Resting
from harness.recording.scripts.streams import ScriptStream

if TYPE_CHECKING:
    from torch import nn

COPIED_ELEMENTS = 100_000_000  # up to here a model's values are held twice to count what changed


class ScriptModels(Recorder):
    """Finds them where they meet, follows those that become others, and lets go of those that are done with."""

    stream: ScriptStream

    def __init__(self, options: Options) -> None:
        self.options = options
        self.guard = Guard(LostSight(lambda **facts: self.stream.emit("lost_sight", **facts)))
        super().__init__(Path(options.out), stream=ScriptStream(Path(options.out), options.name))
        self.claimed: Callable[[], None] = lambda: None

    def _begin(self) -> None:
        """Nothing is known yet of what this process trains."""
        self.made = 0  # steps
        self.first_prints: dict[str, list[str]] = {}  # of each model's parameters when it was found
        self._fresh: dict[int, Freshness] = {}
        self._frozen, self._pace, self._resting = FrozenWatch(), Pace(self.options.every), Resting()
        self._models_found, self._moved = 0, False
        self.ended = False
        self._model_hooks: dict[str, list[Any]] = {}

    def patches(self) -> Patches:
        return Patches(self.guard.around)

    def optimizer_made(self, optimizer: torch.optim.Optimizer) -> None:
        if not self.ended:
            try:
                super().optimizer_made(optimizer)
                self._loose(optimizer)
            except Exception:
                self.stream.claim()  # the process trains, and that nothing more is known of it is said
                raise
            self._fresh[id(optimizer)] = Freshness(optimizer)
            self._pace.begins(self.made)
            self.watch.libraries()
            for model in self._resting.over(self.models, optimizer):
                self._let_go(model)

    def _loose(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer of tensors alone that are no module's."""
        tensors = [tensor for group in optimizer.param_groups for tensor in group["params"]]
        if not self.live.owners(tensors) and not any(map(unreadable, tensors)):
            self._model_found(Tensors(tensors))

    def _let_go(self, model: FoundModel) -> None:
        """The script is done with a model: what it has become is told now, and nothing of it is held any longer."""
        self._final(model)
        self.models.remove(model)
        gone = self._model_hooks.pop(model.ident, [])
        for hook in gone:
            hook.remove()
        self._hooks = [hook for hook in self._hooks if hook not in gone]
        self.first_prints.pop(model.ident, None)
        self._pace.trains(-sum(p.numel() for p in model.parameters))
        for key, facts in list(self._optimizers.items()):
            if facts.holds_only(model):
                del self._optimizers[key]
                self._fresh.pop(key, None)

    def _model_found(self, root: nn.Module) -> None:
        ident = f"model{self._models_found}"
        self._models_found += 1
        if why := unreadable_in(root):
            self.stream.emit("lost_sight", area="parameters", error="Unreadable", message=why, model=ident)
        model = FoundModel(ident, root, lambda tensor: not unfollowed(tensor), COPIED_ELEMENTS)
        self.models.append(model)
        if not self.stream.claimed:
            self.stream.claim()
            self.claimed()
        model.describe(self.stream)
        self.first_prints[ident] = list(model.values.columns["fingerprint"])
        self._frozen.found(model)
        self._model_hooks[ident] = self._hooked(root)
        self._hooks += self._model_hooks[ident]
        self._pace.trains(sum(p.numel() for p in model.parameters))
        self._pace.begins(self.made)
        self.stream.flush()

    def _hooked(self, root: nn.Module) -> list[Any]:
        """The hooks on a model's forward."""
        if isinstance(root, torch.jit.ScriptModule):
            self.stream.emit("lost_sight", area="forwards", error="Unhooked", message="a ScriptModule takes no hooks")
            return []
        return [
            root.register_forward_pre_hook(self._forward_begins, with_kwargs=True),
            root.register_forward_hook(self._forward_ends, with_kwargs=True),
        ]

    def moved(self) -> None:
        self._moved = True

    def _those_moved(self) -> None:
        """A model that was given another dtype or device after it was found is another from here on."""
        for model in [model for model in self.models if model.moved] if self._moved else ():
            self._replace(model, model.root, [])
        self._moved = False

    def _replace(self, model: FoundModel, root: nn.Module, late: list[str]) -> None:
        """A model that was wrapped, or given parts, after it was found is another model from here on."""
        for hook in self._model_hooks.pop(model.ident, []):
            hook.remove()
        place = self.models.index(model)
        self._model_found(root)
        self.models[place] = new = self.models.pop()
        self.stream.emit("replaced", model=model.ident, by=new.ident, late=late)
        for facts in self._optimizers.values():
            facts.forget()

    def forget(self) -> None:
        """In a process that was forked off: what the other one trains is its own."""
        for hooks in self._model_hooks.values():
            for hook in hooks:
                hook.remove()
        self.stream = ScriptStream(Path(self.options.out), self.options.name)
        self.models, self._optimizers, self._hooks, self._in_backward = [], {}, [], False
        self._optimizers_made = 0
        self._begin()
