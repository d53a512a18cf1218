"""A small vision-language model by hand, and a training of it as a stranger would write one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

STEPS, VOCABULARY, WIDTH = 3, 11, 8
INTENT: dict[str, Any] = {
    "components": [("vision", "vision"), ("connector", "connector"), ("language", "language")],
    "trains": [r"connector\."],
    "steps": STEPS,
    "mechanisms": {"clip_norm": 1.0},
}


def small_model() -> Any:
    """Pixels through a tower and a connector to one token before the text."""
    import torch
    from torch import nn

    class SmallModel(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.vision = nn.Sequential(nn.Linear(12, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH))
            self.connector = nn.Linear(WIDTH, WIDTH)
            self.language = nn.ModuleDict(
                {
                    "embed": nn.Embedding(VOCABULARY, WIDTH),
                    "layer": nn.Linear(WIDTH, WIDTH),
                    "head": nn.Linear(WIDTH, VOCABULARY),
                }
            )

        def forward(self, input_ids: Any, pixel_values: Any, labels: Any = None) -> dict[str, Any]:
            seen = self.connector(self.vision(pixel_values.flatten(1)))
            hidden = self.language["embed"](input_ids) + seen[:, None]
            logits = self.language["head"](torch.tanh(self.language["layer"](hidden)))
            if labels is None:
                return {"logits": logits}
            return {"loss": nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten()), "logits": logits}

    torch.manual_seed(0)
    return SmallModel()


def batch(seed: int) -> dict[str, Any]:
    import torch

    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(VOCABULARY, (2, 5), generator=generator)
    return {"input_ids": ids, "pixel_values": torch.randn(2, 3, 2, 2, generator=generator), "labels": ids.roll(-1, 1)}


class Training:
    """A training of the connector alone. Each mistake that people make is a method to override."""

    def freeze(self, model: Any) -> None:
        model.requires_grad_(False)
        model.connector.requires_grad_(True)

    def optimizer(self, model: Any) -> Any:
        import torch

        return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)

    def zero(self, optimizer: Any, step: int) -> None:
        optimizer.zero_grad()

    def before_step(self, model: Any, step: int) -> None:
        """A place for something to go wrong."""

    def run(self, model: Any) -> Any:
        import torch

        self.freeze(model)
        optimizer = self.optimizer(model)
        model.train()
        for step in range(STEPS):
            model(**batch(step))["loss"].backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            self.before_step(model, step)
            optimizer.step()
            self.zero(optimizer, step)
        return model


@pytest.fixture
def intent() -> dict[str, Any]:
    return dict(INTENT)


@pytest.fixture
def model() -> Any:
    return small_model()


@pytest.fixture
def build() -> Callable[[], Any]:
    return small_model


@pytest.fixture
def batch_of() -> Callable[[int], dict[str, Any]]:
    return batch


@pytest.fixture
def training() -> type[Training]:
    return Training


@pytest.fixture
def recorded(tmp_path: Path, intent: dict[str, Any]) -> Callable[..., Any]:
    """Record a training into a trace and judge it."""
    import harness

    def run(how: Training, intent: dict[str, Any] = intent, **options: Any) -> Any:
        with harness.record(tmp_path / "trace", intent, **options):
            how.run(small_model())
        return harness.check(tmp_path / "trace")

    return run
