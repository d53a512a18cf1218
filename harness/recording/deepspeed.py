"""Where the recorder looks at DeepSpeed: an engine that is made, its optimizer's step, and what that does inside.

DeepSpeed is seen through the modules that the process has imported, and nothing of it is imported here. What is wrapped
is wrapped on the engine's own optimizer, whichever stage that is of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from harness.recording.patches import Patches, loaded, scheduler_classes
from harness.recording.shards import is_partitioned
from harness.recording.zero import FlatGradients, GradientsOfStep

if TYPE_CHECKING:
    from harness.recording.recorder import Recorder


ENGINE = "deepspeed.runtime.engine"


class DeepSpeedWatch:
    """Puts wrappers on DeepSpeed's engine, and on the optimizer of each engine that is made."""

    def __init__(self, recorder: Recorder, patches: Patches) -> None:
        self.recorder = recorder
        self._patches = patches
        self._managed: set[int] = set()
        self._step: _ZeroStep | None = None
        self._started = False

    def start(self) -> None:
        """Put the wrappers on, once, where the process has imported DeepSpeed by now."""
        if not self._started and (engine := loaded(ENGINE, "DeepSpeedEngine")) is not None:
            self._started = True
            self._patches.wrap(engine, "__init__", self._engine_made)
            self._patches.wrap(engine, "clip_fp32_gradients", self._clip_whole)

    def manages(self, optimizer: Any) -> bool:
        """Whether an optimizer steps for a ZeRO optimizer, or is being taken over by one."""
        return id(optimizer) in self._managed

    def steps_inside(self, optimizer: Any) -> None:
        """The optimizer that ZeRO has taken over steps some of its flat tensors."""
        if self._step is not None:
            self._step.optimizer_steps(optimizer)

    def _engine_made(self, original: Any, engine: Any, *args: Any, **kwargs: Any) -> None:
        """What DeepSpeed tries out while an engine is made is no step of the run."""
        reached: set[int] = set()
        with self.recorder.paused():
            original(engine, *args, **kwargs)
        model = next((one for one in self.recorder.models if one.root is engine.module), None)
        if model is None:
            return
        zero, basic = engine.optimizer, engine.basic_optimizer
        facts = _facts(engine, zero)
        if zero is not basic:
            self._managed.add(id(basic))
            flat = FlatGradients(zero, model)
            facts["stepped_here"] = flat.elements
            facts["masters"] = sorted({_dtype(flat) for group in _masters(zero, basic) for flat in group})
            step = _ZeroStep(self.recorder, engine, flat, reached)
            self._patches.wrap(zero, "step", self._stepping(step))
            if hasattr(zero, "unscale_and_clip_grads"):
                self._patches.wrap(zero, "unscale_and_clip_grads", step.clips)
            self._watch_gradients(model.parameters, reached)
        if is_partitioned(model.parameters):
            facts["partitioned"] = sum(1 for p in model.parameters if _is_apart(p))
            facts["sizes"] = model.taken_apart()
        self._patches.wrap(engine, "_backward_prologue_per_tensor", self._divides(engine))
        schedule = engine.lr_scheduler
        if schedule is not None and not isinstance(schedule, scheduler_classes()[0]):
            self._patches.wrap(schedule, "step", self._schedule_steps(basic))
        if (scaler := _scaler_of(engine)) is not None:
            self.recorder.event(
                "scaler", device=_device(engine), asked=True, enabled=True, init_scale=_scale_of(scaler)
            )
        self.recorder.event("deepspeed", model=model.ident, **facts)

    def _watch_gradients(self, parameters: list[Any], reached: set[int]) -> None:
        """Note which parameters a backward pass reaches: under ZeRO those it does not have gradients of nought."""
        for index, parameter in enumerate(parameters):
            if parameter.requires_grad and hasattr(parameter, "register_post_accumulate_grad_hook"):
                self.recorder.hooked(
                    parameter.register_post_accumulate_grad_hook(lambda _, index=index: reached.add(index))
                )

    def _divides(self, engine: Any) -> Any:
        """DeepSpeed divides by the accumulation where gradients enter the model's outputs, from 0.18.3 on to 0.19.3 in
        its own backward, too; that of a loss, and of what a loss is computed from, is one division more. What is not to
        be divided it gives back as it is."""

        def wrapped(original: Any, gradient: Any) -> Any:
            result = original(gradient)
            if result is not gradient:
                of = "loss" if gradient.numel() == 1 else "output"
                self.recorder.divided[of] = engine.gradient_accumulation_steps()
            return result

        return wrapped

    def _stepping(self, step: _ZeroStep) -> Any:
        def wrapped(original: Any, *args: Any, **kwargs: Any) -> Any:
            self._step = step
            step.begins()
            try:
                result = original(*args, **kwargs)
            finally:
                self._step = None
            step.ends()
            return result

        return wrapped

    def _schedule_steps(self, optimizer: Any) -> Any:
        """A schedule of DeepSpeed's own steps, which is none of torch's."""

        def wrapped(original: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            rates = [float(group["lr"]) for group in optimizer.param_groups]
            self.recorder.event("scheduler_step", initial=False, lr=rates)
            return result

        return wrapped

    def _clip_whole(self, original: Any, engine: Any) -> Any:
        """Clipping without ZeRO, of whole gradients."""
        self.recorder.gradients("backward")
        before = _norm(engine.module)
        result = original(engine)
        self.recorder.event("clip", max_norm=float(engine.gradient_clipping()), total=before)
        return result


class _ZeroStep:
    """One step of a ZeRO optimizer after the other: gradients before and after clipping, then how it ended."""

    def __init__(self, recorder: Recorder, engine: Any, flat: FlatGradients, reached: set[int]) -> None:
        self._recorder, self._engine, self._flat, self._reached = recorder, engine, flat, reached
        self._anew()

    def _anew(self) -> None:
        self._scale = 1.0
        count = sum(len(model.parameters) for model in self._recorder.models)
        self._before, self._at_step = GradientsOfStep(count), GradientsOfStep(count)

    def begins(self) -> None:
        self._scale = _scale_of(self._engine.optimizer)
        if self._engine.fp16_enabled():  # it may be skipped
            self._recorder.scaler_step_begins(self._engine.basic_optimizer)

    def clips(self, original: Any, which: Any, *args: Any, **kwargs: Any) -> Any:
        """Unscaling and clipping at once: of flat gradients (stages 1 and 2), of the group of that number (3), or of
        all that there are (without ZeRO)."""
        zero = self._engine.optimizer
        if isinstance(which, (list, tuple)):
            held = [flat for flat in zero.single_partition_of_fp32_groups if any(flat.grad is one for one in which)]
        elif hasattr(zero, "fp32_partitioned_groups_flat"):
            held = [zero.fp32_partitioned_groups_flat[which]]
        else:
            held = [copy for copies in zero.fp32_groups for copy in copies]
        for flat in held:
            if flat.grad is not None:
                self._before.add(flat.grad, self._flat.of(flat), self._scale)
        return original(which, *args, **kwargs)

    def optimizer_steps(self, optimizer: Any) -> None:
        for group in optimizer.param_groups:
            for flat in group["params"]:
                if flat.grad is not None:
                    self._at_step.add(flat.grad, self._flat.of(flat))

    def ends(self) -> None:
        recorder, zero, basic = self._recorder, self._engine.optimizer, self._engine.basic_optimizer
        scaled = bool(self._engine.fp16_enabled())
        recorder.clock.take_new_gradients()
        skipped = bool(getattr(zero, "overflow", False))
        if self._before:
            if scaled:
                recorder.event("unscale", enabled=True)
            moment = "unscale" if scaled else "backward"
            recorder.event("gradients", moment=moment, **self._told(norm=self._before.norms))
            limit = float(self._engine.gradient_clipping() or 0.0)
            if limit:
                recorder.event("clip", max_norm=limit, total=_number(getattr(zero, "_global_grad_norm", None)))
        if self._at_step:
            recorder.described(basic)
            columns = self._told(norm=self._at_step.norms, nonzero=self._at_step.nonzeros)
            recorder.event("gradients", moment="optimizer", **columns)
        recorder.step_ends(basic, skipped=skipped)
        if scaled:
            recorder.event("scaler_update", before=self._scale, after=_scale_of(zero))
        self._reached.clear()
        self._anew()

    def _told(self, **columns: Sequence[Any]) -> dict[str, Any]:
        """Columns of parts with what it takes to put them together; whole ones without what no gradient reached."""
        if not self._flat.whole:
            return {"shard": True, "reached": sorted(self._reached), **columns}
        return {
            name: [value if index in self._reached else None for index, value in enumerate(column)]
            for name, column in columns.items()
        }


def _scaler_of(engine: Any) -> Any:
    """What scales losses: DeepSpeed's optimizer of 16 bits, or a scaler of torch's that was made for its autocast."""
    return engine.optimizer if engine.fp16_enabled() else getattr(engine, "torch_autocast_z0_gradscaler", None)


def _scale_of(zero: Any) -> float:
    """By how much the gradients that an optimizer is about to unscale are too large."""
    if hasattr(zero, "get_scale"):
        return float(zero.get_scale())
    scale = getattr(zero, "loss_scale", None)
    return float(getattr(zero, "cur_scale", 1.0) if scale is None else scale)


def _facts(engine: Any, zero: Any) -> dict[str, Any]:
    """What DeepSpeed has made of what it was told."""
    return {
        "stage": int(engine.zero_optimization_stage()) if engine.zero_optimization() else 0,
        "optimizer": type(zero).__name__,
        "own_optimizer": engine.optimizer_name() if engine.client_optimizer is None else None,
        "own_schedule": engine.scheduler_name() if engine.client_lr_scheduler is None else None,
        "offload_optimizer": bool(getattr(zero, "cpu_offload", False) or getattr(zero, "offload_optimizer", False)),
        "offload_parameters": bool(getattr(zero, "offload_param", False)),
        "accumulation": int(engine.gradient_accumulation_steps()),
        "clip_norm": float(engine.gradient_clipping() or 0.0),
    }


def _masters(zero: Any, basic: Any) -> list[Any]:
    """What the optimizer steps in place of the model's parameters."""
    found = getattr(zero, "fp32_partitioned_groups_flat", None)
    return [found] if found else [group["params"] for group in basic.param_groups]


def _device(engine: Any) -> str:
    return str(getattr(engine, "device", "cpu")).partition(":")[0]


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).split(".")[-1]


def _is_apart(parameter: Any) -> bool:
    """Whether a parameter lies in parts, and is not kept whole for being small."""
    return hasattr(parameter, "ds_tensor") and not parameter.ds_persist


def _norm(module: nn.Module) -> float:
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    return float(torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients])))


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
