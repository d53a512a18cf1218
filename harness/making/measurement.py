"""Measures one run that a budget has asked for: how fast its steps are and a bare loop's.

Times lie in `measured.json`; what is the same each time, such as operations counted, in the trace.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.recipe import Recipe
from harness.recipe.budgets import MEMORY_STEPS

if TYPE_CHECKING:
    import torch

    from harness.families import Family
    from harness.measuring import Bare, Ledger, Pace, Phases
    from harness.measuring.pace import Stopwatch
    from harness.recipe.budgets import Budget
    from harness.recording import Recorder

Steps = Sequence[Sequence[dict[str, Any]]]
COUNTED = "operations"  # the record of how many floating-point operations each step of a window has


@contextmanager
def measured(recipe: Recipe, family: Family, model: Any, recorder: Recorder, steps: Steps) -> Iterator[Measurement]:
    """Measure what the model goes through inside on these steps. Nothing is recorded of those that are timed."""
    assert recipe.budget is not None
    with ExitStack() as inside:
        measurement = Measurement(recipe, recipe.budget, family, model, recorder, steps, inside)
        measurement.start()
        yield measurement


def watched_phases(recipe: Recipe) -> Phases | None:
    """What will say what loading, building and saving held, where a budget asks for it."""
    from harness.devices import device_of
    from harness.measuring import Phases

    return Phases(device_of(recipe)) if recipe.budget and recipe.budget.memory else None


@dataclass
class Measurement:
    """Of one run: its pace, and afterwards the bare loop's and the machine's own rates."""

    recipe: Recipe
    budget: Budget
    family: Family
    model: Any
    recorder: Recorder
    steps: Steps
    inside: ExitStack
    pace: Pace | None = None
    ledger: Ledger | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def start(self) -> None:
        from harness.measuring import Ledger, Pace

        accumulation = self.recipe.optimizer.accumulation
        if self.budget.memory:
            self.inside.enter_context(self.recorder.paused())  # what recording holds is not the run's
            self._prime()
            self.ledger = Ledger(self.model, accumulation, MEMORY_STEPS)
            self.ledger.start()
            self.inside.callback(self.ledger.stop)
        if asked := self.budget.throughput:
            windows = {"warm_up": self.budget.warm_up, "window": asked.window, "windows": asked.windows}
            self.pace = Pace(self.model, self._timing_begins, accumulation=accumulation, **windows)
            self.inside.callback(self.pace.stop)

    def _prime(self) -> None:
        """One pass, so that what a model keeps of its last, such as its outputs, is there and as large each time."""
        from harness.recording.undisturbed import Chance

        chance, bare = Chance(), self._bare()
        self.model.train()
        bare.backward(bare.placed(self.steps[:1])[0][0])
        self.model.zero_grad()
        chance.put_back()

    def steps_are_over(self) -> None:
        """No other step is watched: what comes now is."""
        if self.ledger:
            self.ledger.stop()

    def finished(self) -> dict[str, Any]:
        """What was measured of the run, and what is now measured beside it. The model is whole and plain again."""
        from harness import stack
        from harness.measuring import flops_of_steps

        with self.recorder.paused():
            bare, few = self._bare(), self.steps[:MEMORY_STEPS]
            memory = self._memory(bare, few) if self.budget.memory else {}
            window = self._throughput(bare) if self.budget.throughput else ()
            stack.turn_off_checkpointing(self.model)
            if memory:
                self.facts["memory"] = {**memory, "kept_without_checkpointing": self._kept(bare, few)}
            if window:
                flops = flops_of_steps(bare, window)
                self.recorder.stream.emit("probe", name=COUNTED, arrays=None, flops=flops)
        return self.facts

    def _timing_begins(self) -> Stopwatch:
        self.inside.enter_context(self.recorder.paused())
        return self._stopwatch()

    def _stopwatch(self) -> Stopwatch:
        from harness.machine import matmul_bursts
        from harness.measuring.pace import Stopwatch

        device = self._bare().device
        return Stopwatch(device, matmul_bursts(device, compute_dtype(self.recipe)))

    def _throughput(self, bare: Bare) -> Steps:
        """Times the bare loop over the steps of a window, and gives them back."""
        from harness import stack
        from harness.machine import copy_rate, device_kind, matmul_rate
        from harness.measuring import bare_seconds

        asked = self.budget.throughput
        assert asked is not None
        window = self.steps[self.budget.warm_up : self.budget.warm_up + asked.window]
        stopwatch = self._stopwatch()
        bare_seconds(bare, window, stopwatch, warm_up=asked.warm_up, windows=asked.windows)
        self.facts["pace"] = {
            "device": device_kind(bare.device),
            "torch": stack.versions()["torch"],
            "dtype": str(compute_dtype(self.recipe)).removeprefix("torch."),
            "matmul": matmul_rate(bare.device, compute_dtype(self.recipe)).to_json(),
            "copy": copy_rate(bare.device).to_json(),
            "window": asked.window,
            "run": self.pace.stopwatch.windows.to_json() if self.pace and self.pace.stopwatch else None,
            "bare": stopwatch.windows.to_json(),
        }
        return window

    def _memory(self, bare: Bare, steps: Steps) -> dict[str, Any]:
        """What the run held, and a bare loop over the same steps; what a forward keeps; the process as the system sees
        it, whose pages and libraries make it good for nothing but a hint."""
        from harness.machine import device_kind, resident
        from harness.measuring import Ledger

        assert self.ledger is not None
        self._prime()
        beside = Ledger(self.model, self.recipe.optimizer.accumulation, MEMORY_STEPS)
        beside.start()
        self.model.train()
        optimizer = bare.optimizer()
        for micro_batches in bare.placed(steps):
            bare.step(micro_batches, optimizer)
        beside.stop()
        return {
            "device": device_kind(bare.device),
            "run": self.ledger.to_json(),
            "bare": beside.to_json(),
            "gradients": self.ledger.gradients,
            "states": self.ledger.states,
            "batch": self._made_at_once(steps) if self.recipe.data.lazy else 0,
            "resident": resident.most(),
            "kept": self._kept(bare, steps),
            "recomputable": sorted(self._recomputable()),
        }

    def _made_at_once(self, steps: Steps) -> int:
        """Bytes of the batches that are there at a time: a step's, and of the Trainer's, whose loader looks one ahead
        to tell the last, those of the next step, which are made together."""
        return max(_bytes_of(step) for step in steps) * (2 if self.recipe.engine == "trainer" else 1)

    def _recomputable(self) -> set[str]:
        """The components with layers that transformers can have computed again; others, such as timm's, ask for it in
        ways of their own, which no trainer's flag reaches."""
        layers = (pair for pair in self.model.named_modules() if hasattr(pair[1], "gradient_checkpointing"))
        within = ({self._component(f"{path}.{n}") for n, _ in m.named_parameters()} for path, m in layers)
        return set().union(*(names for names in within if len(names) == 1))

    def _kept(self, bare: Bare, steps: Steps) -> dict[str, int]:
        """Of the micro-batch that keeps the most, what its forward keeps, by component."""
        from harness.measuring import kept_for_backward

        each = (kept_for_backward(bare, batch, self._component) for step in bare.placed(steps) for batch in step)
        return max(each, key=lambda kept: sum(kept.values()))

    def _component(self, path: str) -> str:
        from harness.families.family import components_of

        return components_of(self.family, path)

    def _bare(self) -> Bare:
        from harness.engines.parameter_groups import parameter_groups
        from harness.engines.torch_loop import AUTOCAST
        from harness.measuring import Bare

        asked = self.recipe.optimizer

        def groups() -> list[dict[str, Any]]:
            return parameter_groups(self.model, asked, self._component)

        autocast = AUTOCAST.get(self.recipe.precision)
        return Bare(self.model, self.family.loss, autocast, asked.clip_norm, asked.fused, groups)


def compute_dtype(recipe: Recipe) -> torch.dtype:
    """What the large products of a recipe are made in."""
    import torch

    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    return kinds[recipe.precision.removeprefix("pure-")]


def _bytes_of(step: Sequence[dict[str, Any]]) -> int:
    from harness.trace.nested import tensors_in

    return sum(tensor.nbytes for batch in step for value in batch.values() for tensor in tensors_in(value))
