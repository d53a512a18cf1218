"""The recorder: turns what torch is asked to do into the records of a trace."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from harness.recording.batches import auxiliary_loss_of, batch_facts, batch_in, loss_of, target_facts
from harness.recording.clock import StepClock
from harness.recording.found import FoundModel
from harness.recording.layers import LayerWatch, tf32
from harness.recording.live_modules import LiveModules
from harness.recording.optimizers import OptimizerFacts
from harness.recording.patches import Patches
from harness.recording.segments import any_nonzero
from harness.recording.undisturbed import ChanceDigest
from harness.recording.values import gradient_nonzeros, gradient_norms
from harness.recording.watching import Watch
from harness.recording.wrappers import inside_wrapper
from harness.trace.writer import StreamWriter


class Recorder:
    """Records one process. Use as a context; everything built and trained inside is seen.

    `directory` is the trace; the stream goes into its `rank-N`. `first_step` is how many
    steps another process made before. The recorder runs no forward pass of its own, draws no
    random number and starts no collective, so that a run is bit-identical with and without it.
    """

    def __init__(self, directory: Path, rank: int = 0, first_step: int = 0, stream: StreamWriter | None = None) -> None:
        self.stream = stream or StreamWriter(Path(directory) / f"rank-{rank}")
        self.live = LiveModules()
        self.models: list[FoundModel] = []
        self.clock = StepClock(first_step)
        self.stage = "start"
        self._optimizers: dict[int, OptimizerFacts] = {}
        self._optimizers_made = 0
        self._layers: LayerWatch | None = None
        self._targets: tuple[torch.Tensor, int, torch.Tensor, bool] | None = None
        self.averaged = False  # whether the loss that was computed last is a mean
        self._inputs: Mapping[str, Any] = {}
        self._given: dict[int, dict[str, Any]] = {}  # by model, what is known of the batch that its forward was given
        self.watch = Watch(self)
        self._hooks: list[Any] = []
        self._chance = ChanceDigest()
        self._paused = False
        self._in_backward = False
        self.divided: dict[str, int] = {}  # gradients of the backward that runs, and not the loss it starts from
        self._cut_off: set[str] = set()

    def patches(self) -> Patches:
        """What the recorder's wrappers are put on by."""
        return Patches()

    def __enter__(self) -> Recorder:
        self.watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.watch.stop()
        for hook in self._hooks:
            hook.remove()
        self.stream.close()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing inside is recorded: for passes that are not the run's own."""
        before, self._paused = self._paused, True
        try:
            yield
        finally:
            self._paused = before

    def event(self, kind: str, **facts: Any) -> None:
        """Append an event of the current step and micro-batch."""
        if not self._paused:
            self.stream.emit(kind, step=self.clock.step, micro=self.clock.micro, **facts)

    def enter_stage(self, stage: str) -> None:
        """The run goes on to another stage; what fails from here on failed there."""
        self.stage = stage
        self.stream.emit("stage", stage=stage)
        self.stream.flush()

    # -- models and optimizers ------------------------------------------------------------------------------------

    def optimizer_made(self, optimizer: torch.optim.Optimizer) -> None:
        """Find the models behind a new optimizer's parameters and describe those not met before."""
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        known = {id(model.root) for model in self.models}
        for root in map(inside_wrapper, self.live.owners(parameters)):
            if id(root) not in known:
                self._model_found(root)
        self._optimizers[id(optimizer)] = OptimizerFacts(f"optimizer{self._optimizers_made}", optimizer)
        self._optimizers_made += 1

    def _model_found(self, root: nn.Module) -> None:
        model = FoundModel(f"model{len(self.models)}", root)
        self.models.append(model)
        model.describe(self.stream)
        self._hooks += [
            root.register_forward_pre_hook(self._forward_begins, with_kwargs=True),
            root.register_forward_hook(self._forward_ends, with_kwargs=True),
        ]

    def moved(self) -> None:
        """Some module was given another dtype or device."""

    def values_loaded(self, root: nn.Module) -> None:
        """Values were loaded into a model: what its next step changes is counted from them."""
        for model in self.models:
            if model.root is root:
                model.values.observe()

    def _parameters(self) -> list[torch.Tensor]:
        return [parameter for model in self.models for parameter in model.here]

    def hooked(self, handle: Any) -> None:
        """A hook that is to go when recording ends."""
        self._hooks.append(handle)

    def described(self, optimizer: torch.optim.Optimizer) -> None:
        """Say what an optimizer holds, where that was not said."""
        if not self._paused:
            self._facts(optimizer).describe_once(self.stream, self.models)

    # -- forward and backward -------------------------------------------------------------------------------------

    def _forward_begins(self, root: nn.Module, args: Any, kwargs: Mapping[str, Any]) -> None:
        """The batch is looked at now: what is fetched from memory for that, the pass finds in the cache."""
        if self._paused:
            return
        self.averaged = False
        if root.training and torch.is_grad_enabled():
            self.clock.forward()
            if self.clock.first:
                self._layers = LayerWatch(root)
        self._given[id(root)] = batch_facts(batch_in(args, kwargs))

    def _forward_ends(self, root: nn.Module, args: Any, kwargs: Mapping[str, Any], output: Any) -> None:
        if self._paused:
            return
        loss = loss_of(output)
        facts: dict[str, Any] = {"training": root.training, "loss": None if loss is None else float(loss.item())}
        if (uneven := auxiliary_loss_of(output)) is not None:
            facts["auxiliary"] = float(uneven.detach())
        inputs = batch_in(args, kwargs)
        facts.update(self._given.pop(id(root), {}) or batch_facts(inputs))
        if self.averaged:  # its own mean: what it was told of its step's tokens it has not divided by
            facts.pop("items", None)
        self._targets = None if "labels" in facts else self._targets
        self._inputs = {} if "labels" in facts else {name: inputs.get(name) for name in ("input_ids", "attention_mask")}
        if self._layers is not None and self.clock.first:
            facts.update(dtypes=self._layers.dtypes_by_kind(), layers=self._layers.columns(), tf32=tf32())
        self._tell_forward(root, facts, output)

    def _tell_forward(self, _root: nn.Module, facts: dict[str, Any], _output: Any) -> None:
        self.event("forward", **facts)

    def backward(self, original: Any, tensors: Any, *args: Any, **kwargs: Any) -> Any:
        """Around torch.autograd.backward. One inside another is a reentrant checkpoint's, no backward of the run."""
        if self._paused or self._in_backward:
            return original(tensors, *args, **kwargs)
        stale = self._stale_gradients() if self.clock.micro == 0 else 0
        if (watch := self._layers) is not None:
            watch.in_backward = True
        self._in_backward = True
        self.divided.clear()
        try:
            result = original(tensors, *args, **kwargs)
        finally:
            self._in_backward = False
            if watch is not None:
                watch.remove()
                self._layers = None
        root = tensors if isinstance(tensors, torch.Tensor) else tensors[0]
        value = float(root.item()) / math.prod(self.divided.values()) if root.numel() == 1 else None
        facts: dict[str, Any] = {"value": value, "stale": stale}
        if watch is not None:
            facts["recomputed"] = watch.recomputed
        if self._targets is not None:
            targets, ignored, loss, averaged = self._targets
            facts.update(target_facts(targets, ignored, self._inputs))
            if loss.numel() == 1:
                facts["loss"] = float(loss) / (1 if averaged else max(1, facts["labels"]))
            self._targets = None
        self.event("backward", **facts)
        self.clock.gradients_are_new()
        return result

    def recomputed_alone(self, layer: nn.Module) -> None:
        """A layer is to be computed again in the backward pass, and none of its inputs wants a gradient: once told."""
        for model in self.models:
            path = next((path for path, module in model.root.named_modules() if module is layer), None)
            if path is not None and path not in self._cut_off:
                self._cut_off.add(path)
                self.event("cut_off", module=path, trains=any(p.requires_grad for p in layer.parameters()))

    def targets_seen(self, targets: torch.Tensor, ignored: int, loss: torch.Tensor, _classes: int) -> None:
        """Indices of so many classes and the loss computed from them: those of a model that is not given any labels
        itself."""
        self._targets = None if self._paused else (targets, ignored, loss.detach(), self.averaged)

    def _stale_gradients(self) -> int:
        """How many parameters still carry a gradient from before this step began."""
        left = [gradient for p in self._parameters() if (gradient := p.grad) is not None]
        return sum(any_nonzero(left))

    def gradients(self, moment: str) -> list[float | None] | None:
        """Emit each parameter's gradient norm, once after backward however many operations follow.

        Returns them if they were not emitted before.
        """
        if self._paused or not self.clock.take_new_gradients():
            return None
        norms = gradient_norms(self._parameters())
        self.event("gradients", moment=moment, norm=norms)
        return norms

    # -- optimizer ------------------------------------------------------------------------------------------------

    def step_begins(self, optimizer: torch.optim.Optimizer) -> None:
        """Before an optimizer moves its parameters: what it holds, at which rate, with which gradients."""
        if self._paused:
            return
        norms = self.gradients("backward")
        facts = self._facts(optimizer)
        facts.describe_once(self.stream, self.models)
        parameters = self._parameters()
        self.event(
            "gradients",
            moment="optimizer",
            norm=norms or gradient_norms(parameters),
            # Where they changed at the step before, none are lost to rounding: nobody asks how many could be.
            nonzero=gradient_nonzeros(
                parameters, [changed for model in self.models for changed in model.values.nearly_all_changed()]
            ),
        )

    def scaler_step_begins(self, optimizer: torch.optim.Optimizer) -> None:
        """Before a scaler unscales or steps, and may skip: the optimizer's state, where no step has told it yet."""
        if not self._paused:
            self._facts(optimizer).state_before()

    def zeroed(self, by: Any) -> None:
        """An optimizer, or a model, has put its gradients to zero."""
        self.event("zero_grad", by=type(by).__name__)

    def step_ends(self, optimizer: torch.optim.Optimizer, skipped: bool = False) -> None:
        """After an optimizer step, or one that a scaler skipped: every value anew."""
        if self._paused:
            return
        facts = self._facts(optimizer)
        if skipped:  # then nothing was seen before
            facts.describe_once(self.stream, self.models)
        before = {"state_before": facts.state_before()} if skipped else {}
        values = {model.ident: model.observed() for model in self.models}
        self.event(
            "optimizer_step",
            optimizer=facts.ident,
            skipped=skipped,
            lr=facts.rates(),
            **before,
            state=self.state_of(facts),
            rng=self._chance(),
            values=values,
        )
        self.stream.flush()
        self.clock.stepped()

    def state_of(self, facts: OptimizerFacts) -> str | None:
        """A digest of an optimizer's state after its step, where somebody will ask for it."""
        return facts.state_digest()

    def _facts(self, optimizer: torch.optim.Optimizer) -> OptimizerFacts:
        if id(optimizer) not in self._optimizers:
            self.optimizer_made(optimizer)
        return self._optimizers[id(optimizer)]

    def saved(self, what: Any, directory: Path, _state: Mapping[str, Any]) -> None:
        """A model, a tokenizer or a processor has saved itself."""
        self.event("save", type=type(what).__name__, directory=directory.name)

    # -- the end --------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """The last values of parameters and buffers, and the closing record."""
        for model in self.models:
            self._final(model)
        states = {facts.ident: facts.whole_state_digest() for facts in self._optimizers.values()}
        dtypes = {facts.ident: facts.state_dtypes() for facts in self._optimizers.values()}
        self.stream.emit("closing", steps=self.clock.steps_done, optimizer_states=states, optimizer_state_dtypes=dtypes)
        self.stream.flush()

    def _final(self, model: FoundModel) -> None:
        """What a model has become."""
        self.stream.emit("final", model=model.ident, **model.became(), arrays=self._first_and_last(model))

    def _first_and_last(self, model: FoundModel) -> str | None:
        if model.first is None:
            return None
        arrays = {f"first/{i}": tensor for i, tensor in enumerate(model.first)}
        arrays.update({f"last/{i}": tensor for i, tensor in enumerate(model.last_values())})
        return self.stream.arrays(arrays)

    def failed(self, error: BaseException) -> None:
        """The run ended early: where, and with which error."""
        message = " ".join(str(getattr(error, "what", error)).split())[:2000]
        do = str(getattr(error, "do", ""))
        self.stream.emit("failure", stage=self.stage, error=type(error).__name__, message=message, do=do)
        self.stream.flush()
