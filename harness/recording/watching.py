"""Where the recorder looks: the hooks and wrappers that feed it."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.utils.checkpoint
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from harness.recording.closures import with_closure
from harness.recording.copies import state_without_hooks, without_hooks
from harness.recording.deepspeed import DeepSpeedWatch
from harness.recording.local_parts import is_distributed
from harness.recording.patches import compiling, grad_scaler_classes, loaded, scheduler_classes
from harness.recording.wrappers import inside_wrapper

if TYPE_CHECKING:
    from harness.recording.recorder import Recorder

_SAVERS = (
    ("transformers.modeling_utils", "PreTrainedModel"),
    ("peft.peft_model", "PeftModel"),
    ("transformers.processing_utils", "ProcessorMixin"),
    ("transformers.tokenization_utils_base", "PreTrainedTokenizerBase"),
)
_MERGER = ("peft.tuners.tuners_utils", "BaseTuner")
_CLIPPER = ("torch.distributed.fsdp", "FullyShardedDataParallel")  # which clips by itself: no process has all
_MOVERS = ("to", "type", "float", "double", "half", "bfloat16", "cpu", "cuda")


class Watch:
    """Puts the recorder's wrappers on torch, and takes them off."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self._patches = recorder.patches()
        self._savers: set[str] = set()
        self._clipper = self._merger = False
        self._handles: list[Any] = []
        self._stepped_inside_scaler = False
        self._starting_schedule = False
        self._depth = 0
        self._deepspeed = DeepSpeedWatch(recorder, self._patches)
        self._autocasts: set[tuple[str, str, bool]] = set()

    def start(self) -> None:
        wrap = self._patches.wrap
        wrap(nn.Module, "__init__", self._module_made)
        wrap(nn.Module, "__setstate__", self._module_made)  # by which it is copied or read from a file
        self._patches.put(nn.Module, "__getstate__", state_without_hooks)
        self._patches.put(nn.Module, "__prepare_scriptable__", without_hooks)
        for name in _MOVERS:
            wrap(nn.Module, name, self._moved)
        wrap(nn.Module, "load_state_dict", self._load)
        wrap(nn.Module, "zero_grad", self._model_zero_grad)
        wrap(torch.optim.Optimizer, "__init__", self._optimizer_made)
        wrap(torch.optim.Optimizer, "zero_grad", self._zero_grad)
        wrap(torch.autograd, "backward", self.recorder.backward)
        wrap(torch.nn.utils, "clip_grad_norm_", self._clip)
        wrap(nn.functional, "cross_entropy", self._cross_entropy)
        wrap(torch.autocast, "__init__", self._autocast_made)
        wrap(torch.utils.checkpoint.CheckpointFunction, "forward", self._checkpointed)
        if torch.distributed.is_available():
            wrap(torch.distributed, "init_process_group", self._group_made)
            if (uneven := loaded("torch.distributed.algorithms.join", "Join")) is not None:
                wrap(uneven, "__init__", self._joined)
        for scaler in grad_scaler_classes():
            wrap(scaler, "__init__", self._scaler_made)
            wrap(scaler, "unscale_", self._unscale)
            wrap(scaler, "step", self._scaler_step)
            wrap(scaler, "update", self._scaler_update)
            wrap(scaler, "load_state_dict", self._scaler_loaded)
        for scheduler in scheduler_classes():
            wrap(scheduler, "__init__", self._scheduler_made)
            wrap(scheduler, "step", self._scheduler_step)
        self.libraries()
        self._handles = [
            register_optimizer_step_pre_hook(self._stepping),
            register_optimizer_step_post_hook(lambda optimizer, *_: self._stepped(optimizer)),
        ]

    def libraries(self) -> None:
        """Look at the libraries that the process has imported by now, each once."""
        self._deepspeed.start()
        for module, name in _SAVERS:
            if name in self._savers or (owner := loaded(module, name)) is None:
                continue
            self._savers.add(name)
            if "save_pretrained" in vars(owner):
                self._patches.wrap(owner, "save_pretrained", self._save)
        if not self._merger and (owner := loaded(*_MERGER)) is not None:
            self._merger = True
            self._patches.wrap(owner, "merge_adapter", self._merge)
        if not self._clipper and (owner := loaded(*_CLIPPER)) is not None:
            self._clipper = True
            self._patches.wrap(owner, "clip_grad_norm_", self._clip)

    @property
    def saving(self) -> bool:
        """Whether something is inside its save_pretrained."""
        return self._depth > 0

    def engine_steps(self, optimizer: Any) -> bool:
        """Whether an engine of DeepSpeed's steps in an optimizer's place."""
        return self._deepspeed.manages(optimizer)

    def stop(self) -> None:
        self._patches.undo()
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _module_made(self, original: Any, module: nn.Module, *args: Any, **kwargs: Any) -> None:
        original(module, *args, **kwargs)
        self.recorder.live.add(module)

    def _load(
        self, original: Any, module: nn.Module, state_dict: Any, strict: bool = True, *args: Any, **kwargs: Any
    ) -> Any:
        """A state dict that is loaded by name, and how many of its keys the module knows."""
        result = original(module, state_dict, strict, *args, **kwargs)
        keys, unexpected = len(state_dict), [str(key) for key in result.unexpected_keys]
        facts = {"strict": bool(strict), "keys": keys, "matched": keys - len(unexpected), "unexpected": unexpected}
        self.recorder.values_loaded(module)
        self.recorder.event("load", module=type(module).__name__, **facts)
        return result

    def _moved(self, original: Any, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        result = original(module, *args, **kwargs)
        self.recorder.moved()
        return result

    def _optimizer_made(self, original: Any, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        original(optimizer, *args, **kwargs)
        self.recorder.optimizer_made(optimizer)

    def _stepping(self, optimizer: Any, args: Any, kwargs: Any) -> Any:
        if self._deepspeed.manages(optimizer):
            self._deepspeed.steps_inside(optimizer)
            return None
        if (given := with_closure(args, kwargs, lambda: self.recorder.step_begins(optimizer))) is not None:
            return given
        self.recorder.step_begins(optimizer)
        return None

    def _stepped(self, optimizer: Any) -> None:
        self._stepped_inside_scaler = True
        if self._deepspeed.manages(optimizer):
            return
        # A fused optimizer is called even for a step that is to be skipped, and skips it itself.
        found_inf = getattr(optimizer, "found_inf", None)
        self.recorder.step_ends(optimizer, skipped=found_inf is not None and bool(found_inf))

    def _zero_grad(self, original: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(optimizer, *args, **kwargs)
        self.recorder.zeroed(optimizer)
        return result

    def _model_zero_grad(self, original: Any, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        """transformers' Trainer asks the model, not its optimizer."""
        result = original(module, *args, **kwargs)
        if any(inside_wrapper(module) is model.root for model in self.recorder.models):
            self.recorder.zeroed(module)
        return result

    def _cross_entropy(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        loss = original(*args, **kwargs)
        targets = kwargs["target"] if "target" in kwargs else args[1]
        if not compiling() and not targets.is_floating_point():
            ignored = kwargs.get("ignore_index", args[4] if len(args) > 4 else -100)
            scores = kwargs["input"] if "input" in kwargs else args[0]
            self.recorder.averaged = kwargs.get("reduction", args[6] if len(args) > 6 else "mean") == "mean"
            self.recorder.targets_seen(targets, ignored, loss, scores.shape[min(1, scores.dim() - 1)])
        return loss

    def _clip(self, original: Any, parameters: Any, max_norm: float, *args: Any, **kwargs: Any) -> Any:
        self.recorder.gradients("backward")
        total = original(parameters, max_norm, *args, **kwargs)
        if math.isfinite(max_norm):  # else nothing is clipped: somebody wants to know the norm
            known = None if is_distributed(total) else float(total)  # else the processes would have to meet for it
            self.recorder.event("clip", max_norm=float(max_norm), total=known)
        return total

    def _autocast_made(self, original: Any, autocast: Any, *args: Any, **kwargs: Any) -> None:
        """Each autocast that is asked for, once; one for CUDA disables itself where there is none."""
        original(autocast, *args, **kwargs)
        if not kwargs.get("enabled", args[2] if len(args) > 2 else True):
            return
        device = kwargs.get("device_type", args[0] if args else "")  # checkpointing gives it by name
        made = (str(device), str(autocast.fast_dtype).split(".")[-1], bool(autocast._enabled))
        if made not in self._autocasts:
            self._autocasts.add(made)
            self.recorder.event("autocast", device=made[0], dtype=made[1], enabled=made[2])

    def _checkpointed(self, original: Any, ctx: Any, function: Any, preserve: Any, *inputs: Any) -> Any:
        """Reentrant checkpointing gives what it recomputes gradients only if some input wants one, and says nothing."""
        if not any(isinstance(one, torch.Tensor) and one.requires_grad for one in inputs):
            # A method of the layer, or a function that has been given the layer.
            known = (getattr(getattr(function, "func", function), "__self__", None), *getattr(function, "args", ()))
            for layer in [one for one in known if isinstance(one, nn.Module)][:1]:
                self.recorder.recomputed_alone(layer)
        return original(ctx, function, preserve, *inputs)

    def _group_made(self, original: Any, *args: Any, **kwargs: Any) -> None:
        """The processes of the run have met: how many there really are, whatever was asked for."""
        original(*args, **kwargs)
        group = torch.distributed
        self.recorder.event(
            "process_group", backend=str(group.get_backend()), rank=group.get_rank(), world=group.get_world_size()
        )

    def _merge(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        """An adapter is put into the weights it is beside; what is left of them when it is taken out is rounded."""
        result = original(*args, **kwargs)
        self.recorder.event("merge")
        return result

    def _joined(self, original: Any, *args: Any, **kwargs: Any) -> None:
        """Processes may step unequally often: those that are done answer for the others."""
        original(*args, **kwargs)
        self.recorder.event("join")

    def _scaler_made(self, original: Any, scaler: Any, *args: Any, **kwargs: Any) -> None:
        original(scaler, *args, **kwargs)
        # What was asked is kept apart from what came of it: a scaler for CUDA disables itself where there is none.
        asked = bool(kwargs.get("enabled", True))
        device = kwargs.get("device") or (args[0] if args and isinstance(args[0], str) else "cuda")
        self.recorder.event(
            "scaler", device=str(device), asked=asked, enabled=scaler.is_enabled(), init_scale=_scale(scaler)
        )

    def _unscale(self, original: Any, scaler: Any, optimizer: Any) -> Any:
        self.recorder.gradients("backward")
        if scaler.is_enabled():
            self.recorder.scaler_step_begins(optimizer)
        result = original(scaler, optimizer)
        if scaler.is_enabled():
            self.recorder.clock.gradients_are_new()
        self.recorder.event("unscale", enabled=scaler.is_enabled())
        if scaler.is_enabled():
            self.recorder.gradients("unscale")
        return result

    def _scaler_step(self, original: Any, scaler: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        self._stepped_inside_scaler = False
        if scaler.is_enabled():
            self.recorder.scaler_step_begins(optimizer)
        result = original(scaler, optimizer, *args, **kwargs)
        if not self._stepped_inside_scaler:
            self.recorder.step_ends(optimizer, skipped=True)
        return result

    def _scaler_update(self, original: Any, scaler: Any, *args: Any, **kwargs: Any) -> Any:
        before = _scale(scaler)
        result = original(scaler, *args, **kwargs)
        if scaler.is_enabled():
            self.recorder.event("scaler_update", before=before, after=_scale(scaler))
        return result

    def _scaler_loaded(self, original: Any, scaler: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(scaler, *args, **kwargs)
        if scaler.is_enabled():
            self.recorder.event("scaler_loaded", scale=_scale(scaler))
        return result

    def _scheduler_made(self, original: Any, scheduler: Any, *args: Any, **kwargs: Any) -> None:
        self._starting_schedule = True
        try:
            original(scheduler, *args, **kwargs)
        finally:
            self._starting_schedule = False

    def _scheduler_step(self, original: Any, scheduler: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(scheduler, *args, **kwargs)
        rates = [float(group["lr"]) for group in scheduler.optimizer.param_groups]
        self.recorder.event("scheduler_step", initial=self._starting_schedule, lr=rates)
        return result

    def _save(self, original: Any, saved: Any, save_directory: Any, *args: Any, **kwargs: Any) -> Any:
        self._depth += 1
        try:
            result = original(saved, save_directory, *args, **kwargs)
        finally:
            self._depth -= 1
        if self._depth == 0:
            self.recorder.saved(saved, Path(os.fspath(save_directory)), kwargs.get("state_dict") or {})
        return result


def _scale(scaler: Any) -> float:
    return float(scaler.get_scale())
