"""The recorder of a script that knows nothing of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from harness.recording.found import FoundModel
from harness.recording.layers import LayerWatch
from harness.recording.optimizers import OptimizerFacts
from harness.recording.patches import compiling
from harness.recording.scripts.costs import StepCosts
from harness.recording.scripts.ending import end_of, ended
from harness.recording.scripts.inputs import input_digest, of_several
from harness.recording.scripts.last_look import LastLook
from harness.recording.scripts.late import LateParts
from harness.recording.scripts.meeting import as_it_begins
from harness.recording.scripts.models import ScriptModels
from harness.recording.scripts.nesting import Nesting
from harness.recording.scripts.options import Options
from harness.recording.scripts.saves import Saves
from harness.recording.scripts.unsure import UnsureForwards
from harness.recording.scripts.watcher import Watcher
from harness.trace.writer import STORED

if TYPE_CHECKING:
    from torch import nn


def of_parts(columns: Mapping[str, Any], models: Sequence[FoundModel]) -> dict[str, Any]:
    """Columns of gradients of which this process has parts, with what it takes to put them together: which there are,
    and which each process has all of."""
    reached = [index for index, norm in enumerate(columns["norm"]) if norm is not None]
    told = {name: [number or 0 for number in columns[name]] for name in ("norm", "nonzero") if name in columns}
    here = [one for model in models for one in model.here]
    whole = [index for index, one in enumerate(here) if getattr(one, "whole", True)]
    return {"shard": True, "reached": reached, **({"whole": whole} if whole else {}), **told}


class ScriptRecorder(ScriptModels):
    """Records one process, and stays out of its way: what goes wrong here is said in the trace and nowhere else."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.watchers: list[Watcher] = []
        self._paused = options.attach_after > 0
        self._begin()

    def _begin(self) -> None:
        super()._begin()
        self.last, self.saves, self.costs = LastLook(self), Saves(self), StepCosts()
        self._late, self._nesting = LateParts(self.live), Nesting()
        self._used, self._inside, self._may_skip = True, False, False
        self._merged: dict[str, dict[str, Any]] = {}
        self._unsure = UnsureForwards()

    def __enter__(self) -> ScriptRecorder:
        super().__enter__()
        return self

    def __exit__(self, *of: object) -> None:
        for watch in self.watchers:
            watch.stop()
        super().__exit__(*of)

    @property
    def recording(self) -> bool:
        """Whether what happens now goes into the trace."""
        return not (self.ended or self._paused)

    @property
    def looking(self) -> bool:
        """Whether values and gradients are looked at in the next step, whichever optimizer makes it."""
        counts = [fresh.steps for fresh in self._fresh.values()] or [self.made]
        return not self._paused and any(self._pace.due(self.made, own) for own in counts)

    def _looked_at(self, optimizer: torch.optim.Optimizer) -> bool:
        """Whether the step that an optimizer makes now is looked at."""
        own = self._fresh[id(optimizer)].steps if id(optimizer) in self._fresh else self.made
        return not self._paused and self._pace.due(self.made, own)

    @property
    def every(self) -> int:
        """One in how many steps is looked at by now."""
        return self._pace.seldom(self.made)

    def event(self, kind: str, **facts: Any) -> None:
        facts.update(self._merged.get(kind, {}))
        if kind == "gradients":  # whose columns these are, one model's after the other's
            facts["models"] = [model.ident for model in self.models]
            if any(model.apart for model in self.models):
                facts.update(of_parts(facts, self.models))
        super().event(kind, **facts)

    def _let_go(self, model: FoundModel) -> None:
        super()._let_go(model)
        self.last.batches.pop(model.ident, None)

    # -- forward and backward -------------------------------------------------------------------------------------

    def _forward_begins(self, root: nn.Module, args: Any, kwargs: Mapping[str, Any]) -> None:
        if compiling() or self.ended:
            return
        with self.guard("forwards"):
            self._resting.called(self._ident(root))
            unsure = self._unsure_of(root)
            if self.options.last_look and (root.training or unsure) and self.recording:
                self.last.given(str(self._ident(root)), args, kwargs)
            if root.training:
                self._sure_of_none()
            super()._forward_begins(root, args, kwargs)
            if unsure and self.recording and self.clock.before_first and self._layers is None:
                self._layers = LayerWatch(root)

    def _forward_ends(self, root: nn.Module, args: Any, kwargs: Mapping[str, Any], output: Any) -> None:
        if compiling() or self.ended or self._paused:
            return
        with self.guard("forwards"):
            asked = of_several() and (root.training or self._unsure_of(root))
            digest = input_digest(args, kwargs) if asked else None
            self._merged["forward"] = {"model": self._ident(root), **({} if digest is None else {"inputs": digest})}
            super()._forward_ends(root, args, kwargs, output)

    def _unsure_of(self, root: nn.Module) -> bool:
        """Whether a forward may be of the training though it is in eval mode."""
        return not root.training and torch.is_grad_enabled() and any(p.requires_grad for p in root.parameters())

    def _tell_forward(self, root: nn.Module, facts: dict[str, Any], output: Any) -> None:
        if not self._unsure_of(root):
            return super()._tell_forward(root, facts, output)
        self._tell(self._unsure.over())
        return self._unsure.hold({**facts, **self._merged.get("forward", {})}, output)

    def _sure_of_none(self) -> None:
        """What was done in eval mode was of no training, for the model is in training mode now, or it is all over."""
        self._tell(self._unsure.none_of())
        if self._layers is not None and self.clock.before_first:  # it was put on for one of those
            self._layers.remove()
            self._layers = None

    def _tell(self, forwards: Iterable[dict[str, Any]]) -> None:
        """Forwards that were held back, now that it is known what they were."""
        self._merged.pop("forward", None)
        for facts in forwards:
            if facts["training"]:
                self.clock.forward()
            self.event("forward", **facts)

    def _ident(self, root: nn.Module) -> str | None:
        return next((model.ident for model in self.models if model.root is root), None)

    def backward(self, original: Any, tensors: Any, *args: Any, **kwargs: Any) -> Any:
        if self._in_backward or not self.models or self.ended:
            return original(tensors, *args, **kwargs)
        self._tell(self._unsure.trained())
        if self.clock.waits_for_forward:  # of a model that is called by another way than its own forward
            self.clock.forward()
        for fresh in self._fresh.values():
            fresh.backward_begins(alone=len(self._fresh) == 1)
        labels = None if self._targets is None else self._targets[0]
        result = super().backward(original, tensors, *args, **kwargs)
        for fresh in self._fresh.values():
            fresh.backward_ended(labels)
        self._used = False
        return result

    def targets_seen(self, targets: torch.Tensor, ignored: int, loss: torch.Tensor, classes: int) -> None:
        super().targets_seen(targets, ignored, loss, classes)
        self._merged["backward"] = {"classes": classes}

    def _stale_gradients(self) -> int:
        return 0  # asked of each optimizer for itself

    def gradients(self, moment: str) -> list[float | None] | None:
        return super().gradients(moment) if self.looking else None

    def zeroed(self, by: Any) -> None:
        if not self._inside:
            for fresh in self._fresh.values():
                fresh.zeroed(unused=not self._used)
        super().zeroed(by)

    # -- optimizer ------------------------------------------------------------------------------------------------

    def step_begins(self, optimizer: torch.optim.Optimizer) -> None:
        if self.ended:
            raise end_of(self)
        with self.guard("steps"):
            if not self._nesting.begins(optimizer):
                return
            self._inside = True
            facts = self._facts(optimizer)
            self._those_moved()
            for model, root, late in self._late.of(self.models):
                self._replace(model, root, late)
            if self._looked_at(optimizer):
                self._merged["gradients"] = {"optimizer": facts.ident, **as_it_begins(self.models)}
                with self._pace.looking():
                    super().step_begins(optimizer)
            elif not self._paused:
                facts.describe_once(self.stream, self.models)
            if thawed := self._frozen.step_begins(self.models):
                self.event("thawed", parameters=thawed)

    def step_ends(self, optimizer: torch.optim.Optimizer, skipped: bool = False) -> None:
        if not self._nesting.ends(optimizer):
            return
        with self.guard("steps"):
            self._resting.stepped(self.models, optimizer)
            self._step_made(optimizer, skipped)
        self._inside, self._used = False, True
        self.made += 1
        if self.made == self.options.attach_after:
            self._wake()
        if self.options.steps and self.made >= self.options.steps and not self.ended:
            with self.guard("steps"):
                self.finish(by="harness")
            self.ended = True
            raise ended(self.options.steps)

    def scaler_step_begins(self, optimizer: torch.optim.Optimizer) -> None:
        self._may_skip = True
        super().scaler_step_begins(optimizer)

    def state_of(self, facts: OptimizerFacts) -> str | None:
        """Only where a scaler may skip a step: that it leaves the state alone is the one thing asked about it."""
        return super().state_of(facts) if self._may_skip else None

    def _step_made(self, optimizer: torch.optim.Optimizer, skipped: bool) -> None:
        facts, looked_at = self._facts(optimizer), self._looked_at(optimizer)
        if self.watch.engine_steps(optimizer):  # whose columns are of the model as it was given
            for model, root, late in self._late.of(self.models):
                if trained := [name for name, p in root.named_parameters() if name in late and p.requires_grad]:
                    self.event("late", model=model.ident, parameters=trained)
        self._merged.pop("gradients", None)
        stepped = self._frozen.stepped(self.models)
        said = self._fresh[id(optimizer)].stepped() if id(optimizer) in self._fresh else {}
        self._merged["optimizer_step"] = {
            **said,
            **({"frozen_stepped": stepped} if stepped else {}),
            **({"in_backward": True} if self._in_backward else {}),
        }
        if looked_at:
            with self._pace.looking():
                super().step_ends(optimizer, skipped)
            self.costs.stepped(self.clock.step, facts.ident, self._pace.spent)
            if self._pace.chosen():
                self.stream.emit("looks", every=self._pace.every)
            return
        self.event(
            "optimizer_step", optimizer=facts.ident, skipped=skipped, lr=facts.rates(), state=None, rng=None, values={}
        )
        self.stream.flush()
        self.clock.stepped()
        self.costs.stepped(self.clock.step, facts.ident, 0.0)

    def _wake(self) -> None:
        self._paused = False
        with self.guard("parameters"):
            for model in self.models:
                model.values.observe()

    # -- the end --------------------------------------------------------------------------------------------------

    def finish(self, by: str = "script") -> None:
        """The closing record; once."""
        if self.ended or not self.stream.claimed:
            return
        self.ended = True
        self._sure_of_none()
        self._told_costs()
        for watch in self.watchers:
            with self.guard("samples"):
                watch.closing()
        if self.options.last_look:
            with self.guard("evaluation"):
                self.last.take()
        self.saves.leave()
        self.stream.emit("ended", by=by, every=self.every)
        with self.guard("parameters"):
            super().finish()
            return
        self.stream.flush()

    def saved(self, what: Any, directory: Path, state: Mapping[str, Any]) -> None:
        super().saved(what, directory, state)
        self.saves.saved(what, directory, state)

    def _first_and_last(self, model: FoundModel) -> str | None:
        """Whole values go into a file that does not have every dtype."""
        return super()._first_and_last(model) if all(p.dtype in STORED for p in model.parameters) else None

    def failed(self, error: BaseException) -> None:
        if not self.ended and self.stream.claimed:
            self.ended = True
            super().failed(error)
            self._told_costs()

    def _told_costs(self) -> None:
        with self.guard("costs"):
            parameters = (parameter for model in self.models for parameter in model.parameters)
            device = next((parameter.device for parameter in parameters), torch.device("cpu"))
            self.costs.write(self.stream.directory, device, sum(model.held for model in self.models))
