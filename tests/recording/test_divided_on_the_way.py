"""An engine that divides gradients by the accumulation as they enter the model's outputs, as DeepSpeed does."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import harness
from harness.trace.reader import read_trace

ACCUMULATION = 4


class DeepSpeedEngine(nn.Module):
    """As much of one as is watched."""

    lr_scheduler = None
    client_lr_scheduler = client_optimizer = ""

    def __init__(self, module: nn.Module, optimizer: Any, divides: bool) -> None:
        super().__init__()
        self.module, self.optimizer, self.basic_optimizer, self.divides = module, optimizer, optimizer, divides

    def __getattr__(self, name: str) -> Any:
        """What it is asked for beside that is off."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name in ("zero_optimization", "fp16_enabled", "gradient_clipping"):
                return lambda: 0
            raise

    def gradient_accumulation_steps(self) -> int:
        return ACCUMULATION

    def clip_fp32_gradients(self) -> None: ...

    def _backward_prologue_per_tensor(self, gradient: torch.Tensor) -> torch.Tensor:
        return gradient / ACCUMULATION if self.divides else gradient

    def forward(self, *given: torch.Tensor) -> Any:
        outputs = self.module(*given)
        for one in outputs:
            one.register_hook(self._backward_prologue_per_tensor)
        return outputs


class Model(nn.Module):
    """Gives its scores, and the loss before them where it is told what is right."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 3)

    def forward(self, seen: torch.Tensor, wanted: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        scores = self.head(seen)
        return (scores,) if wanted is None else (nn.functional.cross_entropy(scores, wanted), scores)


@pytest.mark.parametrize(
    ("divides", "by_model", "times"),
    [
        pytest.param(False, True, 0, id="not at all"),
        pytest.param(True, False, 1, id="the scores, of which the loss is computed outside"),
        pytest.param(True, True, 2, id="the loss, and the scores that it is computed of"),
    ],
)
def test_a_backward_starts_from_what_is_left_after_all_divisions(
    divides: bool, by_model: bool, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("deepspeed.runtime.engine")
    module.DeepSpeedEngine = DeepSpeedEngine  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    seen, wanted = torch.ones(2, 4), torch.tensor([0, 1])

    with harness.record(tmp_path):
        model = Model()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model(seen)
        engine = DeepSpeedEngine(model, optimizer, divides)
        given = engine(seen, wanted) if by_model else engine(seen)
        loss = given[0] if by_model else nn.functional.cross_entropy(given[0], wanted)
        loss.backward()
        optimizer.step()

    (backward,) = read_trace(tmp_path).of("backward")
    assert backward["value"] == pytest.approx(loss.item() / ACCUMULATION**times)
